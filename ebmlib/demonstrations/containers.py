"""What a file is by its first bytes, where that is not what its name says."""

_SIGNS = {
    b"\x1f\x8b": "is compressed with gzip; decompress it first",
    b"version https://git-lfs": "is a Git LFS pointer, not the file itself; run git lfs pull",
    b"BZh": "is compressed with bzip2; decompress it first",
    b"\xfd7zXZ": "is compressed with xz; decompress it first",
    b"%PDF": "is a PDF; export it as SVG or as a table",
    b"\x89PNG": "is a picture of pixels (PNG); trace it to paths first",
    b"\xff\xd8\xff": "is a picture of pixels (JPEG); trace it to paths first",
}


def not_what_its_name_says(head: bytes) -> str:
    """What a file that begins with these bytes is and what to do, or nothing if it is not known.

    The text completes a sentence that begins with the file's name.
    """
    return next((said for sign, said in _SIGNS.items() if head.startswith(sign)), "")
