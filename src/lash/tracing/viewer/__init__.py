"""A trace as one HTML page: `read_trace` a file, `timeline` it, `render` it."""

from lash.tracing.viewer.page import render as render
from lash.tracing.viewer.timeline import Span as Span
from lash.tracing.viewer.timeline import Turn as Turn
from lash.tracing.viewer.timeline import read_trace as read_trace
from lash.tracing.viewer.timeline import timeline as timeline
