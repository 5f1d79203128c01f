"""The bigWig writer: sections, zooms, layout."""
