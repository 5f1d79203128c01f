"""The report of a run: agreement with measured coverage, pictures, tables, one HTML page."""
