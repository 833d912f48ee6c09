"""What vbench asks of Linux: /proc, namespaces, netlink, control groups, process guards."""
