"""Image networks below a tower's projection, by name: torchvision's, timm's, and small ones of our own."""
