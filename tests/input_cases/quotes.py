"""Label tables with a quote that is not closed (what follows it is one value), or a column under nearly its name."""

from tests.input_cases.case import PARSE, Case
from tests.input_cases.spoiling import both, params, put

HEADER = "image,patient,comment,labels\n"
IN_HEADER = "its header holds a line break; close the quote there, or write the name on one line"

SWALLOWED = "row 5: column 'comment' holds a line break and what looks like the next row; close the quote there"


def _rows(count: int) -> str:
    return "".join(f"{k}.png,{k},fine,mass\n" for k in range(count))


QUOTES = tuple(
    Case("Table files", what, PARSE, both(put("labels.csv", table), params(dataset__name="folder")), f"labels.csv: {seen}")
    for what, table, seen in (
        ("a line break in the header", 'image,patient,"Pleural\neffusion"\na.png,1,1\n', IN_HEADER),
        ("a quote that is not closed in the header", 'image,patient,"labels\n' + _rows(20_000), IN_HEADER),
        (
            "a quote that is not closed in a table of many rows", HEADER + _rows(60_000).replace("\n4.png,4,", '\n4.png,4,"'),
            "row 5 has 3 columns, the header 4: the file is cut short or damaged, or a value with a comma or a quote in it is "
            "not quoted",
        ),
        (
            "a quote in a column that is not read, which another one closes rows later",
            HEADER + _rows(900).replace("\n4.png,4,", '\n4.png,4,"').replace("800,fine", '800,fine"'),
            SWALLOWED,
        ),
        (
            "the same in a table whose lines end in carriage returns",
            (HEADER + _rows(900).replace("\n4.png,4,", '\n4.png,4,"').replace("800,fine", '800,fine"')).replace("\n", "\r"),
            SWALLOWED,
        ),
        (
            "the same beside quotes that are signs of inches",
            HEADER + _rows(900).replace("\n2.png,2,", '\n2.png,2,5" ').replace("\n4.png,4,", '\n4.png,4,"').replace(
                "800,fine", '800,fine"'),
            SWALLOWED,
        ),
        (
            "the same between signs of inches that hide as many lines",
            HEADER + '1.png,1,5" x,mass\n3.png,3,"abc,mass\n4.png,4,fine,mass\n5.png,5,fine",mass\n6" .png,6,fine,mass\n',
            SWALLOWED.replace("row 5", "row 2"),
        ),
        (
            "the same in a table of images that are named by letters",
            "image,comment,patient,labels\nknee.png,ok,1,Mass\nlung.png,\"ok,2,Mass\nhand.png,ok,3,Mass\nfoot.png,ok\",4,Mass\n",
            SWALLOWED.replace("row 5", "row 2"),
        ),
        (
            "a finding's column that may be the split's",
            "image,patient,Split,Mass\na.png,1,0,1\nb.png,2,1,1\n",
            "column 'Split' seems to be 'split'; rename it to 'split', or remove it",
        ),
        (
            "splits in a column of another name, beside a list of labels",
            "image,patient,set,labels\na.png,1,train,Mass\nb.png,2,test,Mass\n",
            "column 'set' holds splits (the first: 'train'), and there is no column 'split'; rename it to 'split', or remove it",
        ),
        (
            "a finding's column without a name",
            "image,patient,Mass,\na.png,1,0,1\nb.png,2,1,1\n",
            "column 4 has no name, but holds values (the first: '1'); name it if it is a finding's, remove it, or quote the "
            "value that a comma divided",
        ),
        (
            "a column that a table need not have under nearly its name",
            "image,patient,labels,Split\na.png,1,Mass,train\nb.png,2,Mass,test\n",
            "column 'Split' seems to be 'split'; rename it to 'split', or remove it",
        ),
    )
)  # fmt: skip
