# What is made from what. run_all.sh calls it; by hand, from the project's folder:
#   .venv/bin/snakemake --cores 2 --config profile=smoke device=cpu
#
# config: profile (smoke, default, full), device (cpu, cuda), gpus ("0,1": which ones, with cuda),
# seeds (how many, in the chapters that take several), only ("circle,intro": execute only these;
# the book is rendered with the chapters executed so far). With an executor, run_all.sh adds what
# workflow/cluster.py says: run, partition, account, gpus_per_job.
#
# Models, chapters and, in the full profile, studies are jobs. Models meet in the store of trained
# models: `model` trains those that chapters show, a study those of every seed; what the store has is
# loaded. Chapters read results: those of the full profile's own studies, or the package's.
import json
import re
import sys

sys.path.insert(0, workflow.basedir)
from workflow import chapters as chapter_list
from workflow import cluster
from workflow.book import inputs as book_inputs
from workflow.batch import SECONDS_PER_UPDATE
from workflow.train import job_name

cluster.arrive(config)

PROFILE = config.get("profile", "default")
DEVICE = config.get("device", "cpu")
GPUS = str(config.get("gpus", ""))
SEEDS = int(config["seeds"]) if "seeds" in config else None
OUT = f"build/{PROFILE}"
CHAPTERS = chapter_list.load()
ONLY = [name for name in str(config.get("only", "")).split(",") if name]
WANTED = CHAPTERS.with_needs(ONLY or list(CHAPTERS.chapters))
# Tiny models are trained within their chapters: starting a job would take longer than its work.
MODELS = {job_name(m): m for m in CHAPTERS.models(WANTED)} if PROFILE != "smoke" else {}
LONG = "|".join(re.escape(job_name(m)) for m in CHAPTERS.long) or "(?!)"  # (?!): nothing
if PROFILE == "full":
    from thesis.studies import studies, study

    STUDIES = list(studies())
else:
    STUDIES = []
# On a cluster every training of a study is a job as well; here a study trains its own, one by one.
TRAININGS = {}
if config.get("run"):
    for name in STUDIES:
        asked = study(name)
        TRAININGS[name] = {
            job_name(condition, seed): f"{condition} --seed {seed}"
            for condition in (*asked.conditions, *asked.loads)
            for seed in range(SEEDS or asked.planned_seeds)
            if seed or job_name(condition) not in MODELS
        }
    MODELS |= {job: given for jobs in TRAININGS.values() for job, given in jobs.items()}


def trainings(study_name):
    """The jobs that train what a study measures; none on one machine."""
    if not TRAININGS:
        return []
    asked = study(study_name)
    first = map(job_name, (*asked.conditions, *asked.loads))
    return [*(job for job in first if job in MODELS), *TRAININGS[study_name]]


def seconds_of(condition):
    from thesis.conditions import condition as run_of
    from thesis.runs import sampler_updates

    return sampler_updates(run_of(condition)) * SECONDS_PER_UPDATE


def training_seconds(job):
    return seconds_of(MODELS[job.model].partition(" ")[0])


def study_seconds(job):
    """As long as its trainings, which jobs of their own have done: the most that was seen."""
    asked = study(job.name)
    seeds = SEEDS or asked.planned_seeds
    return seeds * sum(map(seconds_of, asked.conditions))


wildcard_constraints:
    name="[a-z0-9-]+",
    model="model[.A-Za-z0-9-]+",


localrules:
    all,
    chapters,


rule all:
    input:
        f"{OUT}/book.done",


rule chapters:
    input:
        expand(f"{OUT}/notebooks/{{name}}.ipynb", name=WANTED),


rule model:
    input:
        chapter_list.training_files(),
    output:
        f"{OUT}/models/{{model}}.done",
    log:
        f"{OUT}/logs/{{model}}.log",
    params:
        condition=lambda job: MODELS[job.model],
    group:
        lambda job: cluster.group(training_seconds(job)) if config.get("run") else None
    resources:
        **cluster.resources("model", training_seconds, config),
    shell:
        "exec python -m workflow.train {params.condition} --profile {PROFILE} --device {DEVICE}"
        " --gpus '{GPUS}' --output {output:q} > {log:q} 2>&1"


use rule model as long_model with:
    wildcard_constraints:
        model=LONG,
    priority: 1


ruleorder: long_model > model


rule study:
    input:
        chapter_list.training_files(),
        chapter_list.study_files(),
        lambda job: [f"{OUT}/models/{model}.done" for model in trainings(job.name)],
    output:
        f"{OUT}/results/{{name}}.json",
    log:
        f"{OUT}/logs/study.{{name}}.log",
    params:
        seeds=f"--seeds {SEEDS}" if SEEDS else "",
    resources:
        **cluster.resources("study", study_seconds, config),
    shell:
        "exec python -m workflow.measure {wildcards.name} {params.seeds} --device {DEVICE}"
        " --gpus '{GPUS}' --output {output:q} > {log:q} 2>&1"


rule chapter:
    input:
        source=lambda job: CHAPTERS[job.name].source.as_posix(),
        models=lambda job: [
            f"{OUT}/models/{model}.done"
            for model in map(job_name, CHAPTERS[job.name].models)
            if model in MODELS
        ],
        studies=expand(f"{OUT}/results/{{study}}.json", study=STUDIES),
        needs=lambda job: expand(f"{OUT}/notebooks/{{name}}.ipynb", name=CHAPTERS[job.name].needs),
        library=chapter_list.library_files(),
        benchmarks=chapter_list.benchmark_files(),
        versions="requirements.txt",
        executor="workflow/execute.py",
    output:
        f"{OUT}/notebooks/{{name}}.ipynb",
    log:
        f"{OUT}/logs/{{name}}.log",
    params:
        values=lambda job: json.dumps(CHAPTERS.parameters(job.name, PROFILE, DEVICE, SEEDS)),
        text=lambda job: json.dumps(dict(CHAPTERS[job.name].text)),
    resources:
        **cluster.resources("chapter", 300, config),
    shell:
        # exec: the job is then Snakemake's own child and notices when Snakemake is gone.
        "exec python -m workflow.execute {wildcards.name} --profile {PROFILE}"
        " --parameters {params.values:q} --output {output:q} --gpus '{GPUS}' > {log:q} 2>&1"


rule book:
    input:
        notebooks=rules.chapters.input,
        parts=book_inputs(),
    output:
        f"{OUT}/book.done",
    log:
        f"{OUT}/logs/book.log",
    params:
        draft="--draft" if ONLY else "",
    resources:
        **cluster.resources("book", 300, config),
    shell:
        "exec python -m workflow.book --profile {PROFILE} {params.draft} --done {output:q}"
        " > {log:q} 2>&1"
