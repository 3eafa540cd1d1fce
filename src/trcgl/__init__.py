"""TRCGL-Net: rare findings in chest X-rays, generated and classified."""
