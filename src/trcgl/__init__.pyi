from trcgl.diffusion.generator.saved import load_generator as load_generator
from trcgl.inference.pretrained import TRCGLNet as TRCGLNet
