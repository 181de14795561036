"""The manifests against Kubernetes' own schemas, and against one another."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest

from config.settings import SECRET_FILES
from tests.deploy.files import KUBERNETES, documents, manifests, pods
from tests.metrics.test_deploy_files import assert_known

VERSION = "1.34"


def kinds(kind: str) -> dict[str, dict[str, Any]]:
    return {document["metadata"]["name"]: document for document in manifests() if document["kind"] == kind}


@pytest.mark.parametrize("manifest", manifests(), ids=lambda m: f"{m['kind']}-{m['metadata']['name']}")
def test_a_manifest_keeps_to_the_schema(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, VERSION, strict=True)
    assert manifest["kind"] == "Namespace" or manifest["metadata"]["namespace"] == "antlive"


def test_a_mistake_in_one_would_be_found() -> None:
    pod = kinds("StatefulSet")["antlive-media"]
    pod["spec"]["template"]["spec"]["containers"][0]["readOnlyRootFilesystem"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(pod, VERSION, strict=True)


def test_every_file_is_listed() -> None:
    listed = set(documents(KUBERNETES / "kustomization.yaml")[0]["resources"])
    others = {"kustomization.yaml", "adapter-rules.yaml"}
    assert listed == {path.name for path in KUBERNETES.glob("*.yaml")} - others


def test_selectors_find_pods_and_ports_have_names_that_exist() -> None:
    templates = {
        name: document["spec"]["template"]
        for kind in ("Deployment", "StatefulSet")
        for name, document in kinds(kind).items()
    }
    for kind in ("Service", "PodDisruptionBudget"):
        for name, document in kinds(kind).items():
            spec = document["spec"]
            labels = spec["selector"].get("matchLabels", spec["selector"]).items()
            found = [template for template in templates.values() if labels <= template["metadata"]["labels"].items()]
            assert len(found) == 1, name
            ports = [
                (port["name"], port.get("protocol", "TCP"))
                for container in found[0]["spec"]["containers"]
                for port in container.get("ports", ())
            ]
            for port in spec.get("ports", ()):
                assert (port["targetPort"], port.get("protocol", "TCP")) in ports, name
    for name, template in templates.items():
        document = kinds("Deployment").get(name) or kinds("StatefulSet")[name]
        assert document["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    target = kinds("HorizontalPodAutoscaler")["antlive-media"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("StatefulSet", "antlive-media")
    assert kinds("StatefulSet")["antlive-media"]["spec"]["serviceName"] in kinds("Service")


@pytest.mark.parametrize("name", pods())
def test_a_pod_is_restricted_and_gets_no_variables_of_services(name: str) -> None:
    pod = pods()[name]
    # Kubernetes would call the URL of the Service antlive-rtmp ANTLIVE_RTMP_PORT.
    assert pod["enableServiceLinks"] is False and pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["seccompProfile"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]} | {"data": {}}
    for container in pod["containers"]:
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"] and security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert {mount["name"] for mount in container["volumeMounts"]} <= set(volumes)


def test_a_node_is_drained_before_any_of_its_containers_is_told_to_end() -> None:
    pod = pods()["antlive-media"]
    for container in pod["containers"]:
        *drain, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
        assert drain == ["antlive", "drain", "--seconds"]
        assert int(seconds) < pod["terminationGracePeriodSeconds"]
    media = next(volume for volume in pod["volumes"] if volume["name"] == "media")
    assert media["emptyDir"]["medium"] == "Memory"
    # Viewers of a node that is full, or drains, need it still.
    assert kinds("Service")["antlive-origin"]["spec"]["publishNotReadyAddresses"] is True


def test_the_autoscaler_asks_for_a_metric_that_is_made_of_ours() -> None:
    (metric,) = kinds("HorizontalPodAutoscaler")["antlive-media"]["spec"]["metrics"]
    (rule,) = documents(KUBERNETES / "adapter-rules.yaml")[0]["rules"]["custom"]
    assert metric["pods"]["metric"]["name"] == rule["name"]["as"]
    assert_known(rule["metricsQuery"].replace("<<.LabelMatchers>>", "").replace("<<.GroupBy>>", "instance"))


def test_only_control_gets_the_api_key() -> None:
    secrets = {
        name: {item["key"] for volume in pod["volumes"] for item in volume.get("secret", {}).get("items", ())}
        for name, pod in pods().items()
    }
    assert secrets == {"antlive-control": {"redis_url", "api_key"}, "antlive-media": {"redis_url"}}


@pytest.mark.parametrize("name", pods())
def test_a_pod_gets_the_secrets_that_its_settings_name_and_no_others(name: str) -> None:
    pod = pods()[name]
    (volume,) = [volume["secret"] for volume in pod["volumes"] if "secret" in volume]
    settings = dict(kinds("ConfigMap")["antlive"]["data"])
    for container in pod["containers"]:
        settings |= {entry["name"]: entry["value"] for entry in container.get("env", ())}
        (directory,) = [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "secrets"]
    named = {value for key, value in settings.items() if key in SECRET_FILES}
    assert named == {f"{directory}/{item['path']}" for item in volume["items"]}
