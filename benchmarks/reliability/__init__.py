"""What viewers see of each fault: seconds of frozen picture in real players (`python -m benchmarks.reliability`)."""
