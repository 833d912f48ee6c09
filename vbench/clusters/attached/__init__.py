"""``cluster=attached``: a Ray cluster that someone else started, on other machines.

    session --- api (its API server: version, nodes) ---> discovery (names) ---> roles ---> graph_placement
    trial --- check, start ---> api ---> node_matching (nodes to names)
      |
      +-- load step: submit -- package, job --> Jobs API --> vbench.load.ray_job.entrypoint, on the head
                     submit <-- log: events and the record's files --+

Nothing but the API server's port (8265) is needed. The load process on the head watches all nodes by an actor
on each (vbench.telemetry.node_agents); when it ends, for whatever reason, it takes down what it has served.
"""
