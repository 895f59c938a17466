"""DICOM ultrasound: tags, pixel layouts, codecs, colour and calibration."""
