"""The run of a workflow: its plan, paths, chunks and outputs."""
