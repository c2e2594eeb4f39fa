"""Interactive editing: the user paints, and the image follows on what a model can make.

Read in this order: `strokes` (what is painted, as JSON), `engines` (what answers), `codes` and
`filling` (how), `photos` (how a photo of the user's own gets a code), `history` and `session` (the
states, and the log that replays), `view`, `server` and its page.
"""
