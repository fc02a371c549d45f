"""From real scans and simulated degradations to trained bundles: `python -m medqa.training --help`."""
