"""Findings as other programs and people read them: SARIF, JUnit, GitHub, HTML, text.

`model` says what a rendering knows, `build` makes it of an audit; every other module turns it into one kind of text and
touches nothing else. `files` picks the kind by a file's name and writes it.
"""
