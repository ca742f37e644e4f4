#!/usr/bin/env python3
"""Checks of deploy/ that need a YAML parser and schemas; called by tests/behaviour/deploy.rs, from the top of the repository.

    deploy.py yaml | compose | kubernetes | operator | generated FILE SOURCE | grafana | pipelines | environments | plist

Prints what was looked at, or what is wrong, with exit code 1. Exit code 77: a module is not installed.
"""

import json
import os
import pathlib
import plistlib
import re
import sys

try:
    import yaml
except ImportError as error:
    print(f"{error}; tests/support/deploy_tools.sh installs it")
    sys.exit(77)

DEPLOY = pathlib.Path("deploy")
KUBERNETES_VERSION = "1.37.0"


def fail(message):
    print(message)
    sys.exit(1)


def check(condition, message):
    if not condition:
        fail(message)


def need(module):
    try:
        return __import__(module)
    except ImportError as error:
        print(f"{error}; tests/support/deploy_tools.sh installs it")
        sys.exit(77)


class Strict(yaml.SafeLoader):
    """YAML lets a key stand twice and takes the last; that is a mistake here."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        double = {key for key in keys if keys.count(key) > 1}
        check(not double, f"{node.start_mark}: twice: {double}")
        return super().construct_mapping(node, deep)


def load(path):
    return [document for document in yaml.load_all(path.read_text(), Strict) if document is not None]


def one(path):
    documents = load(path)
    check(len(documents) == 1, f"{path}: {len(documents)} documents")
    return documents[0]


def yaml_files():
    return sorted(path for path in DEPLOY.rglob("*") if path.suffix in (".yaml", ".yml"))


def check_yaml():
    for path in yaml_files():
        check(load(path), f"{path} is empty")
        print(path)


# --- compose ---------------------------------------------------------------------------------------------------------

def interpolated(text, environment):
    """`${NAME}` and `${NAME:-default}`, as compose does it; defaults may hold further variables."""
    pattern = re.compile(r"\$\{([A-Z_]+)(?::-((?:[^{}]|\$\{[^{}]*\})*))?\}")

    def value(match):
        name, default = match.groups()
        check(name in environment or default is not None, f"${{{name}}} has neither a value nor a default")
        return environment.get(name) or interpolated(default or "", environment)

    return pattern.sub(value, text)


def compose_files():
    return [DEPLOY / "compose/compose.yaml", DEPLOY / "compose/full.yaml"]


def compose_model(path):
    return yaml.load(interpolated(path.read_text(), {"HOME": "/home/ada"}), Strict)


def mounts(service):
    for volume in service.get("volumes", []):
        if isinstance(volume, str):
            source, target = volume.split(":")[:2]
            yield source, target
        else:
            yield volume["source"], volume["target"]


def merged_services():
    """Services of both files together; lists are added, except the command."""
    services = {}
    for path in compose_files():
        for name, service in compose_model(path)["services"].items():
            known = services.setdefault(name, {})
            for key, value in service.items():
                if isinstance(value, list) and key != "command":
                    known[key] = known.get(key, []) + value
                elif isinstance(value, dict):
                    known[key] = {**known.get(key, {}), **value}
                else:
                    known[key] = value
    return services


def check_compose():
    compose_spec = need("compose_spec")
    volumes = set()
    for path in compose_files():
        # Strict: an unknown key or a wrong type is an error.
        compose_spec.PyCompose.from_yaml(yaml.safe_dump(compose_model(path)))
        volumes |= set(compose_model(path).get("volumes", {}))
        print(path)
    services = merged_services()
    for name, service in services.items():
        image = service.get("image", "")
        check(re.search(r":(local|v?\d+\.\d+\.\d+)$", image), f"{name}: {image} is not pinned")
        for other in service.get("depends_on", {}):
            check(other in services, f"{name} depends on {other}, which does not exist")
        targets = [target for _, target in mounts(service)]
        check(len(targets) == len(set(targets)), f"{name}: two mounts at one place: {targets}")
        for source, target in mounts(service):
            # A mount below a read-only one needs its mount point to exist already.
            inside = [other for other in targets if target.startswith(other + "/")]
            check(not inside, f"{name}: {target} is inside the mount {inside}")
            if source.startswith("."):
                found = DEPLOY / "compose" / source
                # Made by others, and mounted as a folder: its name is all that is known here.
                check(found.exists() or found.name == "dashboards", f"{name}: {source} does not exist")
            elif not source.startswith("/"):
                check(source in volumes, f"{name}: volume {source} is not declared")
        check("ALL" in service.get("cap_drop", []), f"{name} keeps capabilities")
        check("no-new-privileges:true" in service.get("security_opt", []), f"{name} may gain privileges")
        for port in service.get("ports", []):
            check(str(port).startswith("127.0.0.1:"), f"{name}: {port} is open to the network")
    # tailspan is reached on its own loopback only.
    for name in ("prometheus", "grafana"):
        check(services[name]["network_mode"] == "service:tailspan", f"{name} is not in the network of tailspan")
    check(services["tailspan"].get("read_only") is True, "tailspan can write to its image")


# --- Kubernetes ------------------------------------------------------------------------------------------------------

def manifests():
    for path in sorted((DEPLOY / "kubernetes").rglob("*.yaml")):
        if path.name != "kustomization.yaml":
            yield from ((path, document) for document in load(path))


def is_of_operator(document):
    return document["apiVersion"].startswith("monitoring.coreos.com/")


def pods():
    for path, document in manifests():
        if "template" in document.get("spec", {}):
            yield path, document["spec"]["template"]


def containers(pod):
    return pod["spec"].get("initContainers", []) + pod["spec"]["containers"]


def check_kubernetes():
    validate = need("kubernetes_validate")
    for path, document in manifests():
        if not is_of_operator(document):
            try:
                validate.validate(document, KUBERNETES_VERSION, strict=True)
            except validate.ValidationError as error:
                fail(f"{path}: {document['kind']}: {error.message} at {list(error.path)}")
            print(path, document["kind"])
    for path, pod in pods():
        volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
        mounted = {mount["name"] for container in containers(pod) for mount in container["volumeMounts"]}
        check(volumes == mounted, f"{path}: volumes {volumes ^ mounted} are declared or mounted only")
        check(pod["metadata"]["labels"].get("tailspan") == "scrape", f"{path}: nobody scrapes it")
        for container in containers(pod):
            where = f"{path}: {container['name']}"
            security = container["securityContext"]
            check(security["allowPrivilegeEscalation"] is False, f"{where}: may escalate")
            check(security["capabilities"]["drop"] == ["ALL"], f"{where}: keeps capabilities")
            check("memory" in container["resources"]["limits"], f"{where}: memory has no limit")
            for probe in ("startupProbe", "livenessProbe"):
                # A full disk answers 503 at /-/healthy, and is not mended by a restart.
                command = container.get(probe, {}).get("exec", {}).get("command", ["http://127.0.0.1:9719/"])
                check(command[-1] == "http://127.0.0.1:9719/", f"{where}: {probe} asks {command[-1]}")
            known = set()
            for variable in container.get("env", []):
                used = set(re.findall(r"\$\((\w+)\)", variable.get("value", "")))
                check(used <= known, f"{where}: {variable['name']} uses {used - known}, which is not defined before it")
                known.add(variable["name"])
    for path in sorted((DEPLOY / "kubernetes").rglob("kustomization.yaml")):
        kustomization = one(path)
        files = list(kustomization.get("resources", []))
        for generator in kustomization.get("configMapGenerator", []):
            files += generator.get("files", []) + generator.get("envs", [])
        for name in files:
            check((path.parent / name).exists(), f"{path}: {name} does not exist")
        for patch in kustomization.get("patches", []):
            check_patch(path, patch)
        print(path)


def check_patch(path, patch):
    """Every place that a patch replaces is there."""
    kind, name = patch["target"]["kind"], patch["target"]["name"]
    found = [one for _, one in manifests() if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    check(len(found) == 1, f"{path}: {len(found)} objects {kind} {name}")
    for step in yaml.load(patch["patch"], Strict):
        check(step["op"] == "replace", f"{path}: {step['op']}")
        place = found[0]
        for key in step["path"].strip("/").split("/"):
            known = [str(at) for at in range(len(place))] if isinstance(place, list) else list(place)
            check(key in known, f"{path}: nothing is at {step['path']}")
            place = place[int(key) if isinstance(place, list) else key]
        check(type(place) is type(step["value"]), f"{path}: {step['path']} is {place}")


def operator():
    """The operator's own resources as JSON, for deploy_operator.mjs."""
    print(json.dumps([document for _, document in manifests() if is_of_operator(document)]))


def check_generated(path, source):
    """What generate.py made: the same rules and dashboards, in objects that Kubernetes takes."""
    validate = need("kubernetes_validate")
    documents = load(pathlib.Path(path))
    source = pathlib.Path(source)
    rules = {document["metadata"]["name"]: document for document in documents if document["kind"] == "PrometheusRule"}
    maps = [document for document in documents if document["kind"] == "ConfigMap"]
    files = sorted(source.glob("rules/*.yaml"))
    check(len(rules) == len(files), f"{len(rules)} rules of {len(files)} files")
    for file in files:
        check(rules[file.stem]["spec"] == one(file), f"{file} is not what the PrometheusRule holds")
        print(file)
    held = {}
    for document in maps:
        # One folder takes the dashboards of everybody: a file is called as its object is, and no two the same.
        check(list(document["data"]) == [document["metadata"]["name"] + ".json"], f"keys {list(document['data'])}")
        check(not document["data"].keys() & held.keys(), f"twice: {list(document['data'])}")
        held.update(document["data"])
        for name in document["data"]:
            check(name.startswith("tailspan-"), f"{name} may be somebody else's, too")
        validate.validate(document, KUBERNETES_VERSION, strict=True)
        check(document["metadata"]["labels"]["grafana_dashboard"] == "1", "Grafana does not find a dashboard")
    dashboards = sorted(source.glob("*.json"))
    check(len(held) == len(dashboards), f"dashboards {sorted(held)}")
    for file in dashboards:
        check(file.read_text() in held.values(), f"{file} is not what a ConfigMap holds")
        print(file)


# --- Grafana, Collector, Tempo, launchd ------------------------------------------------------------------------------

def check_grafana():
    sources = []
    for path in sorted((DEPLOY / "compose/grafana/datasources").glob("*.yaml")):
        # Grafana expands $NAME and ${NAME}; `$$` is a dollar sign.
        left = re.sub(r"^\s*#.*$|\$\$", "", path.read_text(), flags=re.M)
        check("$" not in left, f"{path}: a single $ would be expanded")
        check(one(path)["apiVersion"] == 1, f"{path}: apiVersion")
        sources += one(path)["datasources"]
    uids = [source["uid"] for source in sources]
    check(len(uids) == len(set(uids)), f"uids {uids}")
    check([source["name"] for source in sources if source.get("isDefault")] == ["Prometheus"], "one default")
    for source in sources:
        check(source["access"] == "proxy", f"{source['name']} would be asked by the browser")
        for used in re.findall(r"'datasourceUid': '([^']+)'", str(source)):
            check(used in uids, f"{source['name']} leads to {used}, which does not exist")
        print(source["uid"], source["type"], source["url"])
    services = merged_services()
    # What is no part of Grafana is a plugin, whose version is the one that every document names.
    fetched = services["grafana"]["environment"]["GF_PLUGINS_PREINSTALL"].split(",")
    for plugin in fetched:
        check(re.fullmatch(r"[a-z-]+@\d+\.\d+\.\d+", plugin), f"{plugin} is not pinned")
    wanted = {source["type"] for source in sources} - {"prometheus", "jaeger", "tempo"}
    check(wanted == {plugin.split("@")[0] for plugin in fetched}, f"{fetched} are not the plugins of {wanted}")
    top = DEPLOY.parent
    for path in [*top.glob("docs/*.md"), *top.glob("deploy/*.md")]:
        for name, version in re.findall(r"(yesoreyeram-infinity-datasource)[ @](\d[\d.]*\d)", path.read_text()):
            check(f"{name}@{version}" in fetched, f"{path}: {name} {version} is not {fetched}")
    provider = one(DEPLOY / "compose/grafana/dashboards/tailspan.yaml")["providers"][0]
    variable = provider["options"]["path"].strip("${}")
    folder = services["grafana"]["environment"][variable]
    check(folder in [target for _, target in mounts(services["grafana"])], f"{folder} is not mounted")


def check_pipelines():
    """Structure only: every component that a pipeline names is defined, and nothing is defined that none uses."""
    for path in sorted((DEPLOY / "otel").glob("*.yaml")):
        config = one(path)
        service = config["service"]
        for kind in ("receivers", "processors", "exporters"):
            used = {name for pipeline in service["pipelines"].values() for name in pipeline[kind]}
            check(used == set(config[kind]), f"{path}: {kind} {used ^ set(config[kind])}")
        check(set(service["extensions"]) == set(config["extensions"]), f"{path}: extensions")
        # A turn arrives late and in pieces, and what was acknowledged must not be lost.
        unfit = [name for name in config["processors"] if name.split("/")[0] in ("batch", "tail_sampling", "groupbytrace")]
        check(not unfit, f"{path}: {unfit} is not fit for late spans")
        for name, exporter in config["exporters"].items():
            if name.startswith(("otlphttp", "clickhouse")):
                check(exporter["sending_queue"]["storage"] in config["extensions"], f"{path}: {name} has no durable queue")
                check(exporter["retry_on_failure"]["max_elapsed_time"] == "0s", f"{path}: {name} gives up")
            if name.startswith("clickhouse"):
                check(not exporter["async_insert"], f"{path}: {name} is told that spans arrived before they are written")
                check(exporter["ttl"] == "0s", f"{path}: {name} deletes history by the time of its spans")
                check(exporter["sending_queue"]["batch"]["min_size"] >= 1000, f"{path}: {name} makes many small inserts")
        for name in service["pipelines"]["traces"]["processors"][:1]:
            check(name == "memory_limiter", f"{path}: memory_limiter must be first")
        print(path)
    tempo = one(DEPLOY / "tempo/tempo.yaml")
    for wal in (tempo["live_store"]["wal"], tempo["storage"]["trace"]["wal"]):
        check(wal["ingestion_time_range_slack"] == "8760h", "Tempo would not find late spans by time")
    check(tempo["query_frontend"]["search"]["max_duration"] == "0s", "Tempo would refuse a search over more than a week")
    check(tempo["storage"]["trace"]["blocklist_poll"] == "1m", "Tempo would find history late")
    retention = tempo["backend_worker"]["compaction"]["block_retention"]
    check(retention == "8760h", f"Tempo deletes history after {retention}")
    port = tempo["server"]["http_listen_port"]
    source = one(DEPLOY / "compose/grafana/datasources/tempo.yaml")["datasources"][0]
    check(source["url"] == f"http://tempo:{port}", "Grafana asks Tempo at another port")
    # What is said about the Collector and Tempo is the same in the three places that name it.
    services = merged_services()
    scraped = one(DEPLOY / "prometheus/prometheus-full.yml")["scrape_configs"]
    targets = [target for job in scraped for static in job["static_configs"] for target in static["targets"]]
    for target in targets:
        host = target.split(":")[0]
        check(host in services or host == "127.0.0.1", f"prometheus-full.yml scrapes {host}")
    check(f"tempo:{port}" in targets and "collector:8888" in targets, f"targets {targets}")


def check_plist():
    for path in sorted((DEPLOY / "launchd").glob("*.plist")):
        agent = plistlib.loads(path.read_bytes())
        check(agent["Label"] == path.stem, f"{path}: label {agent['Label']}")
        check(agent["ProgramArguments"][0].startswith("/"), f"{path}: launchd does not look along PATH")
        check(agent["Umask"] == 0o077, f"{path}: umask {agent['Umask']:o}")
        check(all(isinstance(value, str) for value in agent["EnvironmentVariables"].values()), f"{path}: variables are texts")
        print(path)


def environments():
    """Variables of every tailspan in deploy/, as JSON: Rust resolves them as the program would."""
    found = {"compose": merged_services()["tailspan"]["environment"]}
    for path, pod in pods():
        for container in containers(pod):
            if container["image"] == "tailspan":
                fixed = {variable["name"]: variable.get("value", "x") for variable in container.get("env", [])}
                found[str(path)] = fixed
    hosts = (DEPLOY / "kubernetes/daemonset/hosts.env").read_text().splitlines()
    found["hosts.env"] = dict(line.split("=", 1) for line in hosts if line and not line.startswith("#"))
    for path in sorted((DEPLOY / "launchd").glob("*.plist")):
        found[str(path)] = plistlib.loads(path.read_bytes())["EnvironmentVariables"]
    print(json.dumps(found))


COMMANDS = {
    "yaml": check_yaml, "compose": check_compose, "kubernetes": check_kubernetes, "operator": operator,
    "generated": check_generated, "grafana": check_grafana, "pipelines": check_pipelines, "plist": check_plist,
    "environments": environments,
}

if __name__ == "__main__":
    os.chdir(pathlib.Path(__file__).resolve().parents[2])
    COMMANDS[sys.argv[1]](*sys.argv[2:])
