"""What the lines of a worker begin with: a torch under test may print too."""

MARK = "@conformance-bench@ "
