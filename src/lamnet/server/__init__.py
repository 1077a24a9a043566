"""LAMNet behind HTTP on this machine: a page for people, an interface for programs, a queue, and processes that do the work.

May touch `batch` and below; never the terminal. Starlette and uvicorn, the extra `app`, are known here alone.
"""
