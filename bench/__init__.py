"""What TripBuilder's promises of speed and thrift measure, on scratch databases and the sandbox of this machine.

`make bench` runs it. Nothing here is a test: times depend on the machine, so each one stands beside a ratio to a fixed
piece of work measured in the same run.
"""
