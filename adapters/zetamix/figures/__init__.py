"""Pictures of ζ-mixup and the page of a report: what the command `zetamix` draws and measures.

It needs the extra `cli`, and writes no files.
"""
