"""medqa judges the image quality of CT, MR and PET series while the patient is still on the table."""

__version__ = "0.1.0"
