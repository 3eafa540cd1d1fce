from trcgl.inference.pretrained import TRCGLNet as TRCGLNet
