"""``cluster=emulated``: the hosts of a cluster as namespaces on one machine, joined by shaped links.

    harness -- guard -- launcher            user, mount, network and PID namespaces begin here
                          `-- init (PID 1)  the switch: a bridge, with a queue towards each host
                                |-- host head     its own network and mounts: Ray's head
                                |-- host gpu      eth0: a class for each TCP flow, under one for the NIC
                                `-- ...

When init or anything above it dies, the kernel ends all of it, mounts and networks included. A process
``entered`` from outside (the load process) runs on a host, beside its Ray.
"""
