"""Running conformance cases: the document's format, the case host, the comparison."""
