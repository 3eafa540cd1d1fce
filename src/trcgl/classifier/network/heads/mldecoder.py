"""ML-Decoder: every class asks the map with a query of its own.

ML-Decoder: Scalable and Versatile Classification Head, https://arxiv.org/abs/2111.12933, section 3, with one query a
class ("full decoding", the default of its authors' code up to 100 classes,
https://github.com/Alibaba-MIIL/ML_Decoder, src_files/ml_decoder/ml_decoder.py; groups of classes are for thousands of
them). timm's own copy keeps its attention to itself,
and with this torch it does not run: its layer does not take the arguments that nn.TransformerDecoder passes.
"""

import torch
from torch import Tensor, nn

from trcgl.classifier.network.heads.base import Head

ATTENTION_HEADS = 8
DROPOUT = 0.1
EXPANSION = 8 / 3  # Of the feed-forward layer: 2048 for a width of 768 in the authors' code


class MlDecoderHead(Head):
    """logit_c = w_c h_c + b_c, h the queries after one decoder layer without self-attention.

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

        A class map is the attention of the class's query, a mean over the attention's heads, times the class's
        probability: where it looked, and how sure it is. It is not negative and sums to the probability.
        """
        places = self.embed(maps.flatten(2).transpose(1, 2)).relu()
        # Not len(maps), which is a constant to an exporter
        queries = self.queries.expand(maps.shape[0], -1, -1)
        hidden = self.norms[0](queries + self.dropout(queries))
        seen, attention = self.attention(hidden, places, places)
        hidden = self.norms[1](hidden + self.dropout(seen))
        hidden = self.norms[2](hidden + self.dropout(self.contract(self.dropout(self.expand(hidden).relu()))))
        logits = (hidden * self.weight).sum(2) + self.bias
        class_maps = attention * logits.sigmoid()[:, :, None]
        return logits, class_maps.unflatten(2, maps.shape[2:])
