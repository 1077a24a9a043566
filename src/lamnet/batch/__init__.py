"""Many files in one call: finding them and their targets, on this machine, on a cluster, from bucket to bucket.

`local.run` and `cluster.run` take a Request and yield Progress and Outcomes. May touch `upscale` and below; never the
terminal.
"""
