"""The DICOM node: it receives, remembers and sends on; it never computes on the network thread."""
