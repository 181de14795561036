"""What an LL-HLS origin must keep to, as rules that can be checked: draft-pantos-hls-rfc8216bis-20 to -22.

Each rule has the number of its section, a name, and whether the draft says MUST or SHOULD; `PLAYER` marks what no
draft says and players demand all the same. All are pure functions: of a playlist's text, of two versions of it, of a
request and its answer, of the bytes of init segments and parts. None of them uses the code that writes playlists.
"""
