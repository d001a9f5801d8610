"""Reading pictures, captions and generated scenes; nothing here knows a model."""
