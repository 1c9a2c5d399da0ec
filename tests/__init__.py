"""The suite, in rooms like those of `hfkit/`: a test file is named after the module whose promises it holds."""
