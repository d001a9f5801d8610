"""A checkpoint at work: pictures and sentences → vectors, probabilities of pairs, and why they score as they do.

Runs by torch, or without it by ONNX Runtime and OpenVINO on exported towers.
Knows images, datasets, models and evaluation.
"""
