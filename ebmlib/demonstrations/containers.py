"""Files of another kind than their name says, recognised by their first bytes."""

_SIGNS = {
    b"\x1f\x8b": "is compressed with gzip; decompress it first",
    b"version https://git-lfs": "is a Git LFS pointer, not the file itself; run git lfs pull",
    b"BZh": "is compressed with bzip2; decompress it first",
    b"\xfd7zXZ": "is compressed with xz; decompress it first",
    b"%PDF": "is a PDF; export it as SVG or as a table",
    b"\x89PNG": "is a picture of pixels (PNG); trace it to paths first",
    b"\xff\xd8\xff": "is a picture of pixels (JPEG); trace it to paths first",
}


def other_kind_of_file(head: bytes) -> str:
    """What is wrong with a file that begins with ``head`` and what to do; empty if nothing is.

    The text completes a sentence that begins with the file's name.
    """
    return next((problem for sign, problem in _SIGNS.items() if head.startswith(sign)), "")
