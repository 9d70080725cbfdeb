# One batch (workflow/batch.py): a chapter executed with many parameters.
#
# config: batch (its folder in build/batch), device (cpu, cuda), gpus ("0,1": which ones, with cuda),
# seconds (of a run, as a rule); with an executor also what workflow/cluster.py says.
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir).parent))
from workflow import cluster

cluster.arrive(config)

NAME = config["batch"]
DEVICE = config.get("device", "cpu")
GPUS = str(config.get("gpus", ""))
OUT = f"build/batch/{NAME}"
SECONDS = float(config.get("seconds", 0))
RUNS = json.loads(Path(f"{OUT}/runs.json").read_text(encoding="utf-8"))["runs"]


wildcard_constraints:
    run=r"\d+",


localrules:
    all,


rule all:
    input:
        expand(f"{OUT}/runs/{{run}}.json", run=RUNS),


rule run:
    input:
        f"{OUT}/inputs.json",
    output:
        record=f"{OUT}/runs/{{run}}.json",
        notebook=f"{OUT}/notebooks/{{run}}.ipynb",
    log:
        f"{OUT}/logs/run.{{run}}.log",
    params:
        values=lambda job: json.dumps(RUNS[job.run]["injected"], sort_keys=True),
    group:
        lambda job: cluster.group(SECONDS) if config.get("run") else None
    resources:
        **cluster.resources("run", SECONDS, config),
    shell:
        # exec: the job is then Snakemake's own child and notices when Snakemake is gone.
        "exec python -m workflow.batch_run {NAME:q} {wildcards.run} --parameters {params.values:q}"
        " --gpus '{GPUS}' --notebook {output.notebook:q} --record {output.record:q}"
        " > {log:q} 2>&1"
