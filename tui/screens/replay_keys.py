"""The keys that move a replay in time: those of mpv, which most operators' hands know."""

from textual.binding import Binding, BindingType

PLAY = Binding.Group("play")
SECOND = Binding.Group("1 s")
FIVE = Binding.Group("5 s")
MINUTE = Binding.Group("60 s")
SPEED = Binding.Group("speed")
MOMENTS = Binding.Group("events")

TRANSPORT_KEYS: list[BindingType] = [
    Binding("space", "play", "play or pause", group=PLAY),
    Binding("comma", "step(-1)", "one second back, and pause", group=SECOND),
    Binding("full_stop", "step(1)", "one second on, and pause", group=SECOND),
    Binding("left", "skip(-5)", "5 seconds back; held, faster and faster", group=FIVE),
    Binding("right", "skip(5)", "5 seconds on; held, faster and faster", group=FIVE),
    Binding("down", "skip(-60)", "a minute back", group=MINUTE),
    Binding("up", "skip(60)", "a minute on", group=MINUTE),
    Binding("home", "to_end(False)", "to the start", show=False),
    Binding("end", "to_end(True)", "to the end; while it is recorded: follow it", show=False),
    Binding("left_square_bracket", "speed(-1)", "slower", group=SPEED),
    Binding("right_square_bracket", "speed(1)", "faster", group=SPEED),
    Binding("backspace", "speed(0)", "at the speed of life", show=False),
    Binding("n", "moment(1)", "next dial change, fault, mark or note", group=MOMENTS),
    Binding("N", "moment(-1)", "previous dial change, fault, mark or note", group=MOMENTS),
    Binding("g", "go", "go to", tooltip="go to 1:30, to 14:03:10 of that day (UTC), or to 50%"),
    Binding("z", "select", "select", tooltip="begin a window here, then end it: its percentiles and verdicts"),
    Binding("Z", "look('window')", "the selected window's figures, or the lanes", show=False),
    Binding("M", "note", "note", show=False, tooltip="a note at this moment, kept beside the recording"),
]
MOUSE = (("click, drag", "on the bar: go there"), ("click", "on the time: play or pause"))
