"""What a person or an archive gets to see of an assessment: the PDF, the sentences, the DICOM objects. It never scores."""
