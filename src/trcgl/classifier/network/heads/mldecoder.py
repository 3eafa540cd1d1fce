"""ML-Decoder: each class has its own query, which attends to the feature map.

ML-Decoder: Scalable and Versatile Classification Head, https://arxiv.org/abs/2111.12933, section 3, with one query per
class. This is "full decoding", the default of the authors' code up to 100 classes
(https://github.com/Alibaba-MIIL/ML_Decoder, src_files/ml_decoder/ml_decoder.py); groups of classes are meant for
thousands of them. timm's own copy does not return its attention, and it does not run with this torch: its layer does
not accept the arguments that nn.TransformerDecoder passes.
"""

import torch
from torch import Tensor, nn

from trcgl.classifier.network.heads.base import Head

ATTENTION_HEADS = 8
DROPOUT = 0.1
EXPANSION = 8 / 3  # Of the feed-forward layer: 2048 for a width of 768 in the authors' code


class MlDecoderHead(Head):
    """logit_c = w_c h_c + b_c, where h are the queries after one decoder layer without self-attention.

    x = relu(E map + e); h1 = norm(2 q); h2 = norm(h1 + attention(h1 to x)); h = norm(h2 + FF(h2)). The queries q are
    random and fixed, as in the paper, which finds that learning them adds nothing.

    Args:
        features: channels F of the map.
        classes: C.
        width: of the decoder, a multiple of 8; 768 in the paper.
    """

    queries: Tensor

    def __init__(self, features: int, classes: int, *, width: int):
        super().__init__()
        hidden = round(EXPANSION * width)
        self.embed = nn.Linear(features, width)
        self.register_buffer("queries", torch.randn(classes, width))
        self.attention = nn.MultiheadAttention(width, ATTENTION_HEADS, dropout=DROPOUT, batch_first=True)
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.dropout = nn.Dropout(DROPOUT)
        self.weight = nn.Parameter(nn.init.xavier_normal_(torch.empty(classes, width)))
        self.bias = nn.Parameter(torch.zeros(classes))

    @property
    def offset(self) -> Tensor:
        return self.bias

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """[B, F, h, w] -> logits [B, C], class maps [B, C, h, w].

        A class map is the attention of the class's query (averaged over the attention heads), times the probability of
        the class: it shows where the class attends and how probable it is. It is not negative and sums to the
        probability.
        """
        places = self.embed(maps.flatten(2).transpose(1, 2)).relu()
        # Not len(maps): an exporter would take it as a constant
        queries = self.queries.expand(maps.shape[0], -1, -1)
        hidden = self.norms[0](queries + self.dropout(queries))
        seen, attention = self.attention(hidden, places, places)
        hidden = self.norms[1](hidden + self.dropout(seen))
        hidden = self.norms[2](hidden + self.dropout(self.contract(self.dropout(self.expand(hidden).relu()))))
        logits = (hidden * self.weight).sum(2) + self.bias
        class_maps = attention * logits.sigmoid()[:, :, None]
        return logits, class_maps.unflatten(2, maps.shape[2:])
