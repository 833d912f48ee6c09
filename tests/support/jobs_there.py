"""Run on a host of a cluster: prints the state of each job there was, and the class of each actor alive."""

import json
import sys

from ray.job_submission import JobSubmissionClient
from ray.util.state import list_actors


def main(address: str) -> None:
    jobs = [job.status.value for job in JobSubmissionClient(address).list_jobs()]
    actors = [actor.class_name for actor in list_actors(address=address, filters=[("state", "=", "ALIVE")])]
    print(json.dumps({"jobs": sorted(jobs), "actors": sorted(actors)}))


if __name__ == "__main__":
    main(sys.argv[1])
