"""Files for genome browsers: track hub, IGV session, .2bit."""
