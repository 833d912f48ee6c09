"""Every private or undocumented interface of Ray that vbench uses, and nothing else.

No other module names one of them, which ``tests/ray_internals/test_table.py`` checks. Beside it is one test
per row of this table, named like the row, that runs against the installed Ray: after an upgrade, the tests
that fail name what moved. ``version`` refuses any Ray for which they have not been run.

=========================  ==============================================  ==================================
Interface                  Why vbench uses it                              Public alternative
=========================  ==============================================  ==================================
version.py
distribution_version       check the version without importing Ray         ``ray.__version__``: 1 s to import

object_manager.py
connection_flags           the setting that is measured                    none
default_connections        expected count if no flag is set                none
chunk_bytes                traffic that opens all connections              none
spilling_threshold         how much of a store frames may fill             none
chunk_metrics              see that a chunk size is in force               none
pull_timeout               bytes that a node may send twice                none

node.py
node_variables             short shutdown, all log lines, GPUs unhidden    none
session_folder             close Ray's logs and sockets to other users     none
longest_socket             keep paths of sockets within the kernel's 107   none
raylet_socket              see that a raylet is up, across namespaces      ``ray.init``: no, a driver per try
started_line               see that ``ray start`` is done                  none without a driver
essential_processes        see that a part of Ray has ended                ``ray status``: slower, a driver
head_resource              place the ingress on the head                   none (used in Ray's own documents)
agent_health               Kubernetes probes                               none; KubeRay's own use the same
jemalloc_preload           a preloaded library that is no user's doing     none
resource_bounds            refuse sizes that Ray would end on              none
node_label                 place replicas on nodes without resources       none (used in Ray's own documents)

start.py
lean_start                 ``ray start`` without unused imports            ``ray start``: twice the CPU time

processes.py
raylet_arguments           which raylet belongs to which node              none
raylet_is_parent           which raylet an actor's node runs               none
ray_start_is_root          the process that all of a node is below         none
transfer_thread_names      see that a number of threads is in force        none
process_titles             CPU time per role                               none

node_manager.py
object_store_stats         use, spilling and fallback of a store, now      metrics port: up to 10 s old

serve.py
controller_actor           is Serve running on a shared cluster?           ``serve.status()`` cannot tell
proxy_actors               which process may listen on the port            none without the dashboard
replica_actors             node and name of each replica                   none without the dashboard
proxy_middleware           count and refuse requests in the proxy          none
serve_actor_names          ask each Serve process for its environment      none without the dashboard

ingress.py
direct_ingress             send requests to replicas themselves            ``GET /api/serve/applications/``

haproxy.py
haproxy_files              keep them in the trial's folder                 none
haproxy_statistics         requests, and the replicas it passes them to    its metrics port

serve_calls.py
call_spans                 when each call of a deployment was processed    metrics: counts per bucket

applications.py
deployment_needs           refuse replicas that no node has room for       none

actor_environment.py
actor_call                 which settings an actor's process has           none; its title hides ``/proc``'s
replica_signs              see that settings of a replica are in force     none

setting_signs.py
implied_settings           what a setting that stands for others sets      none

settings.py
setting_names              refuse a setting that Ray would ignore          none
setting_types              refuse a value that Ray would misread           none
settings_in_python         the same for settings of Serve                  none

objects.py
handle_by_reference        hand frames over where handles pass values      none
response_reference         pass frames on without fetching them            awaiting fetches them
object_existence           wait for an object without fetching it          ``await``: leaks a reference cycle
object_size                tell frames from a small error value            none

authentication.py
token_lookup               the token that Ray's own tools would use        ``ray get-auth-token``: slow

api_server.py
server_version             refuse a cluster with another Ray               ``GET /api/version``: asked twice
request_options            deadlines, no proxy, for the Jobs API           none
state_api_client           the nodes, with a token of this cluster         ``list_nodes``: takes no token
address_variables          keep the client to the address it was given     none
job_stop                   let a job shut Serve down before it ends        none
package_limit              refuse a package that Ray cannot store          none
log_line_limit             send files through a job's log                  none
=========================  ==============================================  ==================================

Nothing here imports Ray before it is needed: what is started at ``vbench --help`` imports some of these
modules for their constants. ``objects`` is the exception, for code that runs inside a Serve replica.
"""
