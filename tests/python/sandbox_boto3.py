#!/usr/bin/env python3
"""Reads every operation of the sandbox with boto3 and checks what it parses.

boto3 is the independent reader: its parsers are made from AWS's own service models. Beside types and
paging, values are compared with what the sandbox says it planted (/planted) and billed (/bill), and
every answer is held against its output shape, member by member.

    python tests/python/sandbox_boto3.py --endpoint http://127.0.0.1:4566

Exits with 1 and says what was wrong; with 0 when everything was right.
"""

import argparse
import collections
import datetime
import decimal
import json
import sys
import traceback
import urllib.error
import urllib.request

import boto3
import botocore.exceptions
from botocore import UNSIGNED
from botocore.config import Config

UTC = datetime.timezone.utc
MEMBERS = {"111111111111": "prod", "222222222222": "uat", "333333333333": "dev"}
PAYER = "999999999999"

problems = []
calls = collections.Counter()


def check(condition, message):
    if not condition:
        problems.append(message)
        print(f"WRONG  {message}", file=sys.stderr)


def same(actual, expected, what):
    check(actual == expected, f"{what}: {actual!r} is not {expected!r}")


# ---- every answer against its shape -------------------------------------------------------------

TYPES = {
    "string": str,
    "integer": int,
    "long": int,
    "double": float,
    "float": float,
    "boolean": bool,
    "timestamp": datetime.datetime,
    "list": list,
    "map": dict,
    "structure": dict,
    "blob": bytes,
}


def check_shape(shape, value, path):
    """Every member has its shape's type, no member is unknown, no required member is missing."""
    expected = TYPES[shape.type_name]
    is_right = isinstance(value, expected)
    if expected is int and isinstance(value, bool):
        is_right = False
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        is_right = True  # JSON has one kind of number
    if not is_right:
        check(False, f"{path}: {value!r} is no {shape.type_name}")
        return
    if shape.type_name == "structure":
        for name in shape.required_members:
            check(name in value, f"{path}: required member {name} is missing")
        for name, member in value.items():
            if name in ("ResponseMetadata",):
                continue
            check(name in shape.members, f"{path}: member {name} is not in the model")
            if name in shape.members:
                check_shape(shape.members[name], member, f"{path}.{name}")
    elif shape.type_name == "list":
        for index, item in enumerate(value):
            check_shape(shape.member, item, f"{path}[{index}]")
    elif shape.type_name == "map":
        for key, item in value.items():
            check_shape(shape.value, item, f"{path}[{key}]")
    if shape.type_name == "string" and getattr(shape, "enum", None):
        check(value in shape.enum, f"{path}: {value!r} is not one of {shape.enum}")


def raw_members(shape, body, path):
    """JSON members on the wire that no shape knows: botocore drops them without a word."""
    if shape.type_name == "structure" and isinstance(body, dict):
        known = {
            member.serialization.get("name", name): member
            for name, member in shape.members.items()
            if member.serialization.get("location") is None
        }
        for name, value in body.items():
            check(name in known, f"{path}: member {name} on the wire is not in the model")
            if name in known and value is not None:
                raw_members(known[name], value, f"{path}.{name}")
    elif shape.type_name == "list" and isinstance(body, list):
        for item in body:
            raw_members(shape.member, item, f"{path}[]")


def observe(client):
    """Checks each answer of a client, its body on the wire too where that is JSON."""
    service = client.meta.service_model.service_name
    bodies = {}

    def received(response_dict, operation_model, **_):
        if response_dict["status_code"] == 200 and "json" in response_dict["headers"].get(
            "Content-Type", ""
        ):
            bodies[operation_model.name] = response_dict["body"]

    def parsed(parsed, model, http_response, **_):
        if http_response.status_code >= 300:
            return
        calls[f"{service}:{model.name}"] += 1
        if model.output_shape is None:
            return
        check_shape(model.output_shape, parsed, f"{service}:{model.name}")
        if bodies.get(model.name):
            body = json.loads(bodies.pop(model.name))
            raw_members(model.output_shape, body, f"{service}:{model.name}")

    client.meta.events.register("before-parse.*.*", received)
    client.meta.events.register("after-call.*.*", parsed)
    return client


class Sandbox:
    def __init__(self, endpoint):
        self.endpoint = endpoint.rstrip("/")

    def page(self, path):
        with urllib.request.urlopen(self.endpoint + path, timeout=60) as answer:
            return json.loads(answer.read())

    def client(self, service, account, region="eu-west-1", observed=True, **options):
        settings = {"retries": {"max_attempts": 8, "mode": "standard"}, "read_timeout": 120}
        settings.update(options.pop("config", {}))
        client = boto3.client(
            service,
            region_name=region,
            endpoint_url=self.endpoint,
            aws_access_key_id=options.pop("key", f"AKIA{account}TEST"),
            aws_secret_access_key=options.pop("secret", "secret"),
            config=Config(**settings),
            **options,
        )
        return observe(client) if observed else client


def refused(expected, call, status=None, **arguments):
    """The call is refused with that code (or one of those)."""
    expected = (expected,) if isinstance(expected, str) else expected
    what = f"{call.__name__}({', '.join(arguments)})"
    try:
        call(**arguments)
    except botocore.exceptions.ClientError as error:
        code = error.response["Error"]["Code"]
        check(code in expected, f"{what}: refused with {code}, not {'/'.join(expected)}: {error}")
        check(error.response["Error"].get("Message") is not None, f"{what}: has no message")
        if status is not None:
            same(error.response["ResponseMetadata"]["HTTPStatusCode"], status, f"{what}: status")
        return error.response
    except botocore.exceptions.BotoCoreError as error:
        check(False, f"{what}: {type(error).__name__} instead of a refusal: {error}")
    else:
        check(False, f"{what}: was answered, not refused with {'/'.join(expected)}")
    return {}


def places(planted):
    return [(account, region) for account in MEMBERS for region in planted["regions"]]


# ---- services -----------------------------------------------------------------------------------


def sts(sandbox, planted):
    payer = sandbox.client("sts", PAYER)
    same(payer.get_caller_identity()["Account"], PAYER, "GetCallerIdentity of the payer")
    for account in MEMBERS:
        role = f"arn:aws:iam::{account}:role/centime-reader"
        answer = payer.assume_role(
            RoleArn=role, RoleSessionName="boto3", ExternalId="centime-sandbox", DurationSeconds=900
        )
        keys = answer["Credentials"]
        made_for = keys["Expiration"] - datetime.datetime.fromisoformat(planted["now"])
        check(
            datetime.timedelta(0) < made_for <= datetime.timedelta(seconds=960),
            f"a session of 900 s expires in {made_for}",
        )
        session = sandbox.client(
            "sts",
            account,
            key=keys["AccessKeyId"],
            secret=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )
        identity = session.get_caller_identity()
        same(identity["Account"], account, "account of the session")
        same(identity["Arn"], answer["AssumedRoleUser"]["Arn"], "ARN of the session")
        rds = sandbox.client(
            "rds",
            account,
            key=keys["AccessKeyId"],
            secret=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )
        own = sandbox.client("rds", account).describe_db_instances()["DBInstances"]
        same(
            [of["DBInstanceIdentifier"] for of in rds.describe_db_instances()["DBInstances"]],
            [of["DBInstanceIdentifier"] for of in own],
            f"databases seen through the role in {account}",
        )
    role = "arn:aws:iam::111111111111:role/centime-reader"
    for external in ({"ExternalId": "wrong"}, {}):
        refused("AccessDenied", payer.assume_role, 403, RoleArn=role, RoleSessionName="x1", **external)
    unknown = "arn:aws:iam::444444444444:role/centime-reader"
    refused(
        "AccessDenied",
        payer.assume_role,
        403,
        RoleArn=unknown,
        RoleSessionName="x1",
        ExternalId="centime-sandbox",
    )
    for service, code, call in [
        ("kafka", "ExpiredTokenException", "list_clusters_v2"),
        ("emr", "ExpiredTokenException", "list_clusters"),
        ("rds", "ExpiredToken", "describe_db_instances"),
        ("s3", "ExpiredToken", "list_buckets"),
        ("cloudwatch", ("ExpiredToken", "ExpiredTokenException"), "list_metrics"),
    ]:
        old = sandbox.client(
            service,
            "111111111111",
            key="ASIA111111111111SBOX",
            aws_session_token="sandbox/111111111111/1000000000/centime-reader/x1",
        )
        refused(code, getattr(old, call))


def unsigned(sandbox, planted):
    for service, call, code in [
        ("kafka", "list_clusters_v2", "MissingAuthenticationTokenException"),
        ("emr", "list_clusters", "MissingAuthenticationTokenException"),
        ("rds", "describe_db_instances", "MissingAuthenticationToken"),
        ("lambda", "list_functions", "MissingAuthenticationTokenException"),
    ]:
        client = sandbox.client(service, PAYER, config={"signature_version": UNSIGNED})
        refused(code, getattr(client, call), 403)
    s3 = sandbox.client("s3", PAYER, config={"signature_version": UNSIGNED})
    refused("AccessDenied", s3.get_bucket_tagging, 403, Bucket="any-bucket")
    foreign = sandbox.client("kafka", "444444444444")
    refused("UnrecognizedClientException", foreign.list_clusters_v2, 403)


def kafka(sandbox, planted):
    seen = {}
    for account, region in places(planted):
        client = sandbox.client("kafka", account, region)
        clusters = []
        for page in client.get_paginator("list_clusters_v2").paginate(
            PaginationConfig={"PageSize": 2}
        ):
            check(len(page["ClusterInfoList"]) <= 2, "a page of clusters is larger than asked")
            clusters += page["ClusterInfoList"]
        whole = client.list_clusters_v2()["ClusterInfoList"]
        same(
            [of["ClusterArn"] for of in clusters],
            [of["ClusterArn"] for of in whole],
            f"clusters of {account} {region} paged by 2",
        )
        for cluster in clusters:
            seen[cluster["ClusterName"]] = cluster
            same(cluster["ClusterArn"].split(":")[3:5], [region, account], "place in a cluster's ARN")
            same(
                client.describe_cluster_v2(ClusterArn=cluster["ClusterArn"])["ClusterInfo"],
                cluster,
                f"cluster {cluster['ClusterName']} listed and described",
            )
            if cluster["ClusterType"] == "SERVERLESS":
                refused("BadRequestException", client.list_nodes, 400, ClusterArn=cluster["ClusterArn"])
                continue
            nodes = []
            for page in client.get_paginator("list_nodes").paginate(
                ClusterArn=cluster["ClusterArn"], PaginationConfig={"PageSize": 2}
            ):
                nodes += page["NodeInfoList"]
            same(
                len(nodes),
                cluster["Provisioned"]["NumberOfBrokerNodes"],
                f"nodes of {cluster['ClusterName']}",
            )
            for node in nodes:
                check(
                    isinstance(node["BrokerNodeInfo"]["BrokerId"], float),
                    "a broker id is not a JSON double",
                )
            check(
                len({node["BrokerNodeInfo"]["BrokerId"] for node in nodes}) == len(nodes),
                f"broker ids of {cluster['ClusterName']} repeat",
            )
    client = sandbox.client("kafka", "111111111111")
    missing = "arn:aws:kafka:eu-west-1:111111111111:cluster/none/00000000-0000-0000-0000-000000000000-1"
    refused("NotFoundException", client.describe_cluster_v2, 404, ClusterArn=missing)
    refused("BadRequestException", client.list_clusters_v2, 400, MaxResults=101)
    refused("BadRequestException", client.list_clusters_v2, 400, NextToken="wrong")
    kinds = {of["ClusterType"] for of in seen.values()}
    same(kinds, {"PROVISIONED", "SERVERLESS"}, "types of clusters")
    check(len(seen) >= 5, f"only {len(seen)} MSK clusters")
    has_planted(planted, "msk-", set(seen), "MSK clusters")


def emr(sandbox, planted):
    ids, alive, collections_seen, steps_seen, groups_seen = {}, 0, set(), 0, set()
    for account, region in places(planted):
        client = sandbox.client("emr", account, region)
        summaries = []
        for page in client.get_paginator("list_clusters").paginate():
            check(len(page["Clusters"]) <= 50, "a page of EMR clusters holds more than 50")
            summaries += page["Clusters"]
        states = {of["Status"]["State"] for of in summaries}
        for state in states:
            by_state = client.list_clusters(ClusterStates=[state])["Clusters"]
            check(
                {of["Status"]["State"] for of in by_state} == {state},
                f"clusters by state {state} are of other states",
            )
        now = datetime.datetime.fromisoformat(planted["now"])
        same(client.list_clusters(CreatedAfter=now)["Clusters"], [], "clusters created after now")
        for summary in summaries:
            ids[summary["Id"]] = summary
            detail = client.describe_cluster(ClusterId=summary["Id"])["Cluster"]
            same(detail["Name"], summary["Name"], "an EMR cluster's name")
            same(
                detail["Status"]["Timeline"]["CreationDateTime"],
                summary["Status"]["Timeline"]["CreationDateTime"],
                "an EMR cluster's age",
            )
            collections_seen.add(detail["InstanceCollectionType"])
            groups, fleets = client.list_instance_groups, client.list_instance_fleets
            if detail["InstanceCollectionType"] == "INSTANCE_GROUP":
                parts = groups(ClusterId=summary["Id"])["InstanceGroups"]
                groups_seen |= {part["Id"] for part in parts}
                refused("InvalidRequestException", fleets, 400, ClusterId=summary["Id"])
                running = sum(part["RunningInstanceCount"] for part in parts)
            else:
                parts = fleets(ClusterId=summary["Id"])["InstanceFleets"]
                refused("InvalidRequestException", groups, 400, ClusterId=summary["Id"])
                running = None
            instances = []
            for page in client.get_paginator("list_instances").paginate(
                ClusterId=summary["Id"], InstanceStates=["RUNNING"]
            ):
                instances += page["Instances"]
            if detail["Status"]["State"] in ("RUNNING", "WAITING"):
                alive += 1
                check(instances, f"{summary['Id']} is alive without instances")
                if running is not None:
                    same(len(instances), running, f"instances of {summary['Id']}")
            policy = client.get_managed_scaling_policy(ClusterId=summary["Id"])
            if "ManagedScalingPolicy" in policy:
                limits = policy["ManagedScalingPolicy"]["ComputeLimits"]
                check(
                    limits["MinimumCapacityUnits"] <= limits["MaximumCapacityUnits"],
                    "a scaling policy's least is above its most",
                )
            idle = client.get_auto_termination_policy(ClusterId=summary["Id"])
            if "AutoTerminationPolicy" in idle:
                check(
                    60 <= idle["AutoTerminationPolicy"]["IdleTimeout"] <= 604800,
                    "an idle timeout is out of AWS's range",
                )
            steps = []
            for page in client.get_paginator("list_steps").paginate(ClusterId=summary["Id"]):
                check(len(page["Steps"]) <= 50, "a page of steps holds more than 50")
                steps += page["Steps"]
            steps_seen += len(steps)
            created = [step["Status"]["Timeline"]["CreationDateTime"] for step in steps]
            same(created, sorted(created, reverse=True), f"order of the steps of {summary['Id']}")
            check(len({step["Id"] for step in steps}) == len(steps), "step ids repeat")
    client = sandbox.client("emr", "111111111111")
    refused("InvalidRequestException", client.describe_cluster, 400, ClusterId="j-NONE")
    refused("InvalidRequestException", client.list_clusters, 400, Marker="wrong")
    check(alive >= 4, f"only {alive} EMR clusters are alive")
    check(steps_seen > 0, "no EMR cluster has steps")
    same(collections_seen, {"INSTANCE_GROUP", "INSTANCE_FLEET"}, "kinds of EMR clusters")
    has_planted(planted, "emr-", set(ids) | groups_seen, "EMR clusters and instance groups")


def emr_serverless(sandbox, planted):
    seen, runs_seen, billed = {}, 0, 0.0
    for account, region in places(planted):
        client = sandbox.client("emr-serverless", account, region)
        applications = []
        for page in client.get_paginator("list_applications").paginate(
            PaginationConfig={"PageSize": 1}
        ):
            applications += page["applications"]
        for application in applications:
            seen[application["id"]] = application
            seen[application["name"]] = application
            detail = client.get_application(applicationId=application["id"])["application"]
            same(detail["name"], application["name"], "an application's name")
            same(detail["architecture"], application["architecture"], "an application's architecture")
            runs = []
            for page in client.get_paginator("list_job_runs").paginate(
                applicationId=application["id"], PaginationConfig={"PageSize": 50}
            ):
                check(len(page["jobRuns"]) <= 50, "a page of job runs holds more than 50")
                runs += page["jobRuns"]
            runs_seen += len(runs)
            for run in runs[:3]:
                one = client.get_job_run(applicationId=application["id"], jobRunId=run["id"])["jobRun"]
                same(one["name"], run["name"], "a job run's name")
                billed += one["billedResourceUtilization"]["vCPUHour"]
            if runs:
                middle = runs[len(runs) // 2]["createdAt"]
                later = client.list_job_runs(
                    applicationId=application["id"], createdAtAfter=middle, maxResults=50
                )["jobRuns"]
                check(
                    all(run["createdAt"] >= middle for run in later),
                    "createdAtAfter lets older runs through",
                )
    client = sandbox.client("emr-serverless", "111111111111")
    refused("ResourceNotFoundException", client.get_application, 404, applicationId="00none")
    check(len(seen) >= 4, "there are fewer than 2 EMR Serverless applications")
    check(runs_seen > 0 and billed > 0, "no job run was billed")
    has_planted(planted, "emrs-", set(seen), "EMR Serverless applications")


def lambda_and_logs(sandbox, planted):
    names, provisioned, reserved, tagged, retained, mapped = set(), 0, 0, 0, set(), set()
    for account, region in places(planted):
        client = sandbox.client("lambda", account, region)
        functions = []
        for page in client.get_paginator("list_functions").paginate(
            PaginationConfig={"PageSize": 1000}
        ):
            check(len(page["Functions"]) <= 50, "ListFunctions gives more than 50 a page")
            functions += page["Functions"]
        by_seven = []
        for page in client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 7}):
            by_seven += page["Functions"]
        same(
            [of["FunctionArn"] for of in by_seven],
            [of["FunctionArn"] for of in functions],
            f"functions of {account} {region} paged by 7",
        )
        for function in functions:
            name = function["FunctionName"]
            names.add(name)
            check(function["Architectures"] in (["x86_64"], ["arm64"]), "an odd architecture")
            datetime.datetime.strptime(function["LastModified"], "%Y-%m-%dT%H:%M:%S.%f%z")
            configs = []
            for page in client.get_paginator("list_provisioned_concurrency_configs").paginate(
                FunctionName=name
            ):
                configs += page["ProvisionedConcurrencyConfigs"]
            provisioned += len(configs)
            for config in configs:
                check(
                    config["FunctionArn"].startswith(function["FunctionArn"] + ":"),
                    "provisioned concurrency of another function",
                )
            reserved += "ReservedConcurrentExecutions" in client.get_function_concurrency(
                FunctionName=name
            )
            tagged += bool(client.list_tags(Resource=function["FunctionArn"])["Tags"])
        versions = []
        for page in client.get_paginator("list_functions").paginate(FunctionVersion="ALL"):
            versions += page["Functions"]
        same(
            [of["FunctionArn"] for of in versions if of["Version"] == "$LATEST"],
            [of["FunctionArn"] for of in functions],
            "functions among their versions",
        )
        settings = client.get_account_settings()
        same(
            settings["AccountUsage"]["TotalCodeSize"],
            sum(of["CodeSize"] for of in versions),
            f"code of {account} {region}",
        )
        for page in client.get_paginator("list_event_source_mappings").paginate():
            for mapping in page["EventSourceMappings"]:
                mapped.add(mapping["State"])
        logs = sandbox.client("logs", account, region)
        groups = []
        for page in logs.get_paginator("describe_log_groups").paginate(
            logGroupNamePrefix="/aws/lambda/", PaginationConfig={"PageSize": 7}
        ):
            check(len(page["logGroups"]) <= 7, "a page of log groups is larger than asked")
            groups += page["logGroups"]
        check(
            all(group["logGroupName"].startswith("/aws/lambda/") for group in groups),
            "log groups of another prefix",
        )
        retained |= {"retentionInDays" in group for group in groups}
        same(len({g["logGroupName"] for g in groups}), len(groups), "log groups by name")
    client = sandbox.client("lambda", "111111111111")
    refused("ResourceNotFoundException", client.get_function_concurrency, 404, FunctionName="none")
    refused("InvalidParameterValueException", client.list_functions, 400, Marker="wrong")
    logs = sandbox.client("logs", "111111111111")
    refused("InvalidParameterException", logs.describe_log_groups, 400, nextToken="wrong")
    check(len(names) >= 40, f"only {len(names)} functions")
    same(mapped, {"Enabled", "Disabled"}, "states of event source mappings")
    check(provisioned > 0, "no function has provisioned concurrency")
    check(0 < tagged <= len(names), "no function is tagged")
    same(retained, {True, False}, "log groups with and without retention")
    has_planted(planted, "lambda-", names, "functions")


def rds(sandbox, planted):
    names, engines, snapshots, reservations, clusters_seen, others = set(), set(), set(), 0, set(), set()
    for account, region in places(planted):
        client = sandbox.client("rds", account, region)

        def all_of(call, key):
            pages = client.get_paginator(call).paginate(PaginationConfig={"PageSize": 20})
            items = []
            for page in pages:
                check(len(page[key]) <= 20, f"a page of {call} holds more than 20")
                items += page[key]
            return items

        instances = all_of("describe_db_instances", "DBInstances")
        clusters = all_of("describe_db_clusters", "DBClusters")
        of_instances = all_of("describe_db_snapshots", "DBSnapshots")
        of_clusters = all_of("describe_db_cluster_snapshots", "DBClusterSnapshots")
        reserved = all_of("describe_reserved_db_instances", "ReservedDBInstances")
        backups = all_of("describe_db_instance_automated_backups", "DBInstanceAutomatedBackups")
        backups += all_of("describe_db_cluster_automated_backups", "DBClusterAutomatedBackups")
        others |= {one["ReservedDBInstanceId"] for one in reserved}
        others |= {one.get("DbiResourceId") or one["DbClusterResourceId"] for one in backups}
        members = {
            member["DBInstanceIdentifier"]: cluster["DBClusterIdentifier"]
            for cluster in clusters
            for member in cluster["DBClusterMembers"]
        }
        clusters_seen |= {cluster["DBClusterIdentifier"] for cluster in clusters}
        for instance in instances:
            name = instance["DBInstanceIdentifier"]
            names.add(name)
            engines.add(instance["Engine"])
            same(instance.get("DBClusterIdentifier"), members.get(name), f"cluster of {name}")
            one = client.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
            same(one, [instance], f"instance {name} by its name")
        for instance in instances[:3]:
            tags = client.list_tags_for_resource(ResourceName=instance["DBInstanceArn"])["TagList"]
            same(tags, instance["TagList"], "tags listed and in the instance")
        snapshots |= {of["DBSnapshotIdentifier"] for of in of_instances}
        snapshots |= {of["DBClusterSnapshotIdentifier"] for of in of_clusters}
        manual = client.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
        check(
            all(of["SnapshotType"] == "manual" for of in manual), "manual snapshots of other types"
        )
        reservations += len(reserved)
        for of in reserved:
            check(of["Duration"] in (31536000, 94608000), "an odd reservation")
            check(of["RecurringCharges"], "a reservation without recurring charges")
    client = sandbox.client("rds", "111111111111")
    refused("DBInstanceNotFound", client.describe_db_instances, 404, DBInstanceIdentifier="none")
    refused("InvalidParameterValue", client.describe_db_instances, 400, MaxRecords=19)
    refused("InvalidParameterValue", client.describe_db_instances, 400, MaxRecords=101)
    refused("InvalidParameterValue", client.describe_db_instances, 400, Marker="wrong")
    check(len(names) >= 16, f"only {len(names)} database instances")
    check(len(engines) >= 3, f"engines are only {engines}")
    check(clusters_seen, "there is no database cluster")
    check(snapshots, "there are no snapshots")
    check(reservations, "there are no reserved instances")
    known = names | snapshots | clusters_seen | others
    has_planted(planted, "rds-", known, "databases, snapshots, backups and reservations")
    has_planted(planted, "aur-", known, "databases and clusters")


def s3(sandbox, planted):
    names, met = set(), collections.Counter()
    for account in MEMBERS:
        client = sandbox.client("s3", account)
        listed = []
        for page in client.get_paginator("list_buckets").paginate(PaginationConfig={"PageSize": 3}):
            check(len(page["Buckets"]) <= 3, "a page of buckets is larger than asked")
            listed += page["Buckets"]
        old_way = client.list_buckets()["Buckets"]
        same([b["Name"] for b in listed], [b["Name"] for b in old_way], "buckets paged by 3")
        for region in planted["regions"]:
            local = sandbox.client("s3", account, region)
            here = local.list_buckets(BucketRegion=region, MaxBuckets=1000)["Buckets"]
            same(
                [b["Name"] for b in here],
                [b["Name"] for b in listed if b["BucketRegion"] == region],
                f"buckets of {account} in {region}",
            )
            for bucket in here:
                one_bucket(local, bucket["Name"], region, met)
                names.add(bucket["Name"])
        elsewhere = next(b for b in listed if b["BucketRegion"] == "eu-west-1")["Name"]
        # botocore follows the redirect by itself: the answer before is what is looked at.
        away, seen = sandbox.client("s3", account, "us-east-1", observed=False), []
        away.meta.events.register(
            "before-parse.s3.*",
            lambda response_dict, **_: seen.append(
                (response_dict["status_code"], response_dict["headers"].get("x-amz-bucket-region"))
            ),
        )
        away.get_bucket_versioning(Bucket=elsewhere)
        same([seen[0], seen[-1][0]], [(301, "eu-west-1"), 200], "a bucket of another region")
    client = sandbox.client("s3", "111111111111")
    refused("NoSuchBucket", client.get_bucket_tagging, 404, Bucket="no-such-bucket-anywhere")
    foreign = next(iter(sandbox.client("s3", "222222222222").list_buckets()["Buckets"]))["Name"]
    refused("AccessDenied", client.get_bucket_tagging, 403, Bucket=foreign)
    for what in ("lifecycle", "no lifecycle", "versioned", "unversioned", "tagged", "uploads"):
        check(met[what], f"no bucket is seen with: {what}")
    for what in ("untagged", "replicated", "tiering", "metrics"):
        if not met[what]:
            print(f"note   no bucket is seen with: {what}")
    has_planted(planted, "s3-", names, "buckets")


def one_bucket(client, name, region, met):
    def optional(code, call, key):
        try:
            return call(Bucket=name)[key]
        except botocore.exceptions.ClientError as error:
            same(error.response["Error"]["Code"], code, f"{call.__name__} of {name}")
            return None

    place = client.get_bucket_location(Bucket=name)["LocationConstraint"]
    same(place, None if region == "us-east-1" else region, f"location of {name}")
    versioning = client.get_bucket_versioning(Bucket=name).get("Status")
    met["versioned" if versioning == "Enabled" else "unversioned"] += 1
    rules = optional(
        "NoSuchLifecycleConfiguration", client.get_bucket_lifecycle_configuration, "Rules"
    )
    met["lifecycle" if rules else "no lifecycle"] += 1
    for rule in rules or []:
        check("Filter" in rule, f"a rule of {name} has no filter")
    tags = optional("NoSuchTagSet", client.get_bucket_tagging, "TagSet")
    met["tagged" if tags else "untagged"] += 1
    replication = optional(
        "ReplicationConfigurationNotFoundError",
        client.get_bucket_replication,
        "ReplicationConfiguration",
    )
    met["replicated"] += replication is not None
    tiering = client.list_bucket_intelligent_tiering_configurations(Bucket=name)
    met["tiering"] += bool(tiering.get("IntelligentTieringConfigurationList"))
    metrics = client.list_bucket_metrics_configurations(Bucket=name)
    met["metrics"] += bool(metrics.get("MetricsConfigurationList"))
    uploads = client.list_multipart_uploads(Bucket=name)
    if uploads.get("Uploads"):
        met["uploads"] += 1
        first = client.list_multipart_uploads(Bucket=name, MaxUploads=1)
        same(first["Uploads"][0], uploads["Uploads"][0], f"first upload of {name}")
        same(first["IsTruncated"], len(uploads["Uploads"]) > 1, f"truncation of {name}")
        paged = []
        pages = client.get_paginator("list_multipart_uploads").paginate(
            Bucket=name, PaginationConfig={"PageSize": 5, "MaxItems": 20}
        )
        for page in pages:
            paged += page.get("Uploads", [])
        same(
            [u["UploadId"] for u in paged],
            [u["UploadId"] for u in uploads["Uploads"][:20]],
            f"uploads of {name} paged by 5",
        )


# ---- CloudWatch ---------------------------------------------------------------------------------


def cloudwatch(sandbox, planted):
    answers = {}
    for protocol in (None, "json", "smithy-rpc-v2-cbor"):
        client = cloudwatch_client(sandbox, protocol)
        if client is not None:
            answers[client.meta.service_model.resolved_protocol] = series(sandbox, planted, client)
    check(
        {"json", "smithy-rpc-v2-cbor"} <= set(answers),
        f"botocore spoke only {sorted(answers)} to CloudWatch",
    )
    first, *others = answers.values()
    for other in others:
        check(other == first, "CloudWatch answers differ between the protocols")


def cloudwatch_client(sandbox, protocol):
    """A client that speaks that protocol, whatever botocore would choose."""
    if protocol is None:
        return sandbox.client("cloudwatch", "111111111111")
    session = boto3.session.Session()
    session._session.register_component("data_loader", session._session.get_component("data_loader"))
    loader = session._session.get_component("data_loader")
    model = loader.load_service_model("cloudwatch", "service-2")
    if protocol not in model["metadata"].get("protocols", []):
        print(f"note   botocore's model of CloudWatch has no {protocol}")
        return None
    before = dict(model["metadata"])
    model["metadata"]["protocols"] = [protocol]
    model["metadata"]["protocol"] = protocol
    try:
        client = session.client(
            "cloudwatch",
            region_name="eu-west-1",
            endpoint_url=sandbox.endpoint,
            aws_access_key_id="AKIA111111111111TEST",
            aws_secret_access_key="secret",
            config=Config(retries={"max_attempts": 8, "mode": "standard"}),
        )
    except botocore.exceptions.UnsupportedServiceProtocolsError as error:
        print(f"note   botocore does not speak {protocol}: {error}")
        return None
    finally:
        model["metadata"].clear()
        model["metadata"].update(before)
    return observe(client)


def query(index, namespace, name, dimensions, stat="Average", period=3600):
    return {
        "Id": f"q{index}",
        "MetricStat": {
            "Metric": {
                "Namespace": namespace,
                "MetricName": name,
                "Dimensions": [{"Name": k, "Value": v} for k, v in dimensions],
            },
            "Period": period,
            "Stat": stat,
        },
    }


def series(sandbox, planted, client):
    now = datetime.datetime.fromisoformat(planted["now"])
    end = now.replace(minute=0, second=0, microsecond=0)
    start = end - datetime.timedelta(days=14)

    metrics = []
    for page in client.get_paginator("list_metrics").paginate():
        check(len(page["Metrics"]) <= 500, "a page of metrics holds more than 500")
        metrics += page["Metrics"]
    keys = [
        (m["Namespace"], m["MetricName"], tuple(sorted((d["Name"], d["Value"]) for d in m["Dimensions"])))
        for m in metrics
    ]
    same(len(set(keys)), len(keys), "metrics listed twice")
    namespaces = {key[0] for key in keys}
    for namespace in ("AWS/Kafka", "AWS/ElasticMapReduce", "AWS/Lambda", "AWS/RDS", "AWS/S3"):
        check(namespace in namespaces, f"ListMetrics has nothing of {namespace}")
    only = client.list_metrics(Namespace="AWS/RDS", MetricName="CPUUtilization")["Metrics"]
    check(only and all(m["MetricName"] == "CPUUtilization" for m in only), "metrics by name")
    by_dimension = client.list_metrics(
        Namespace="AWS/RDS", Dimensions=[{"Name": "DBInstanceIdentifier"}]
    )["Metrics"]
    check(
        by_dimension
        and all("DBInstanceIdentifier" in {d["Name"] for d in m["Dimensions"]} for m in by_dimension),
        "metrics by dimension",
    )

    # 500 series of two weeks are 168,000 points at most: more than one answer.
    chosen = [key for key in keys if key[0] != "AWS/S3"][:500]
    queries = [query(index, *key) for index, key in enumerate(chosen)]
    whole, pages, token = collections.defaultdict(list), 0, None
    points, first_page = 0, None
    while True:
        more = {"NextToken": token} if token else {}
        page = client.get_metric_data(
            MetricDataQueries=queries,
            StartTime=start,
            EndTime=end,
            ScanBy="TimestampAscending",
            **more,
        )
        pages += 1
        in_page = 0
        for result in page["MetricDataResults"]:
            same(len(result["Timestamps"]), len(result["Values"]), "instants beside values")
            check(result["StatusCode"] in ("Complete", "PartialData"), "an odd status")
            whole[result["Id"]] += list(zip(result["Timestamps"], result["Values"]))
            in_page += len(result["Values"])
        check(in_page <= 100_800, f"an answer holds {in_page} points")
        points += in_page
        token = page.get("NextToken")
        if not token:
            break
        check(pages < 50, "pages of points do not end")
    check(points > 20_000, f"{len(chosen)} series of two weeks hold only {points} points")
    check(
        pages == -(-points // 100_800) or pages == points // 100_800 + 1,
        f"{points} points came in {pages} pages",
    )
    for found in whole.values():
        instants = [instant for instant, _ in found]
        check(instants == sorted(set(instants)), "points are out of order or repeat")
        check(
            all(start <= instant < end and instant.minute == 0 for instant in instants),
            "points outside the window, or off the hour",
        )

    # The same in small answers, and backwards.
    few = queries[:7]
    small, token = collections.defaultdict(list), None
    for _ in range(1_000):
        more = {"NextToken": token} if token else {}
        page = client.get_metric_data(
            MetricDataQueries=few, StartTime=start, EndTime=end, MaxDatapoints=100, **more
        )
        count = sum(len(result["Values"]) for result in page["MetricDataResults"])
        check(count <= 100, f"MaxDatapoints=100 gives {count}")
        for result in page["MetricDataResults"]:
            small[result["Id"]] += list(zip(result["Timestamps"], result["Values"]))
        token = page.get("NextToken")
        if not token:
            break
    for of in few:
        same(small[of["Id"]], whole[of["Id"]][::-1], f"points of {of['Id']} in small answers")

    unknown = client.get_metric_data(
        MetricDataQueries=[query(0, "AWS/RDS", "CPUUtilization", [("DBInstanceIdentifier", "none")])],
        StartTime=start,
        EndTime=end,
    )["MetricDataResults"]
    same(
        [(r["Id"], r["Values"], r["StatusCode"]) for r in unknown],
        [("q0", [], "Complete")],
        "a metric that does not exist",
    )
    minute = [query(0, *chosen[0], period=60)]
    old = client.get_metric_data(
        MetricDataQueries=minute, StartTime=now - datetime.timedelta(days=20), EndTime=end
    )["MetricDataResults"]
    same(old[0]["Values"], [], "minutes of 20 days ago")
    size = [key for key in keys if key[:2] == ("AWS/S3", "BucketSizeBytes")][:1]
    daily = client.get_metric_data(
        MetricDataQueries=[query(0, *size[0], period=86400)],
        StartTime=now - datetime.timedelta(days=5),
        EndTime=now,
    )["MetricDataResults"][0]
    check(daily["Values"], "a bucket has no size")
    check(all(t.hour == 0 and t.minute == 0 for t in daily["Timestamps"]), "sizes off the day")

    refuse_metric_data(client, queries, start, end)
    return {key: value for key, value in whole.items()}


def refuse_metric_data(client, queries, start, end):
    window = {"StartTime": start, "EndTime": end}
    one = queries[0]
    metric = one["MetricStat"]["Metric"]
    wrong = ("ValidationError", "ValidationException")
    value = ("InvalidParameterValue", "InvalidParameterValueException")

    def with_period(period):
        return [{"Id": "a", "MetricStat": {"Metric": metric, "Period": period, "Stat": "Average"}}]

    get = client.get_metric_data
    many = [dict(one, Id=f"m{index}") for index in range(501)]
    refused(wrong, get, 400, MetricDataQueries=many, **window)
    refused(wrong, get, 400, MetricDataQueries=[one, one], **window)
    refused(wrong, get, 400, MetricDataQueries=[dict(one, Id="Upper")], **window)
    refused(wrong, get, 400, MetricDataQueries=[one], StartTime=end, EndTime=start)
    refused(value, get, 400, MetricDataQueries=with_period(7), **window)
    refused(value, get, 400, MetricDataQueries=with_period(90), **window)
    token = ("InvalidNextToken", "InvalidNextTokenException")
    refused(token, get, 400, MetricDataQueries=[one], NextToken="wrong", **window)
    first = get(MetricDataQueries=queries[:2], MaxDatapoints=10, **window)
    refused(token, get, 400, MetricDataQueries=[one], NextToken=first.get("NextToken", "x"), **window)


# ---- Cost Explorer ------------------------------------------------------------------------------


def decimals(results, metric="UnblendedCost"):
    """Sums of all groups, by keys, exact."""
    sums = collections.defaultdict(decimal.Decimal)
    for result in results:
        for group in result["Groups"]:
            sums[tuple(group["Keys"])] += decimal.Decimal(group["Metrics"][metric]["Amount"])
    return sums


def all_pages(call, **arguments):
    results, token, pages = [], None, 0
    while True:
        more = {"NextPageToken": token} if token else {}
        page = call(**arguments, **more)
        results += page["ResultsByTime"]
        pages += 1
        token = page.get("NextPageToken")
        if not token:
            return results, pages
        check(pages < 200, "pages of costs do not end")


def months_back(day, months):
    month = day.year * 12 + day.month - 1 - months
    return datetime.date(month // 12, month % 12 + 1, 1)


def by(*keys):
    return [{"Type": "DIMENSION", "Key": key} for key in keys]


def cost_explorer(sandbox, planted):
    client = sandbox.client("ce", PAYER, "us-east-1")
    get = client.get_cost_and_usage
    today = datetime.datetime.fromisoformat(planted["now"]).date()
    metrics = ["UnblendedCost", "AmortizedCost", "UsageQuantity"]

    for back in (0, 1, 2, 13):
        first, end = months_back(today, back), months_back(today, back - 1)
        bill = sandbox.page(f"/bill?month={first:%Y-%m}")
        period = {"Start": str(first), "End": str(end)}
        total = get(TimePeriod=period, Granularity="MONTHLY", Metrics=metrics)["ResultsByTime"]
        same(len(total), 1, f"months in {first:%Y-%m}")
        same(
            decimal.Decimal(total[0]["Total"]["UnblendedCost"]["Amount"]),
            decimal.Decimal(bill["total"]["unblended"]),
            f"total of {first:%Y-%m}",
        )
        same(
            decimal.Decimal(total[0]["Total"]["AmortizedCost"]["Amount"]),
            decimal.Decimal(bill["total"]["amortized"]),
            f"amortised total of {first:%Y-%m}",
        )
        expected = collections.defaultdict(decimal.Decimal)
        for row in bill["rows"]:
            expected[(row["account"], row["service"])] += decimal.Decimal(row["unblended"])
        for granularity in ("MONTHLY", "DAILY"):
            results, _ = all_pages(
                get,
                TimePeriod=period,
                Granularity=granularity,
                Metrics=metrics,
                GroupBy=by("LINKED_ACCOUNT", "SERVICE"),
            )
            check(all(result["Total"] == {} for result in results), "totals beside groups")
            same(
                dict(decimals(results)),
                dict(expected),
                f"{granularity} costs by account and service of {first:%Y-%m}",
            )
        types, _ = all_pages(
            get, TimePeriod=period, Granularity="MONTHLY", Metrics=metrics, GroupBy=by("RECORD_TYPE")
        )
        same(
            {keys[0]: amount for keys, amount in decimals(types).items()},
            {
                name: decimal.Decimal(amounts["unblended"])
                for name, amounts in bill["record_types"].items()
            },
            f"record types of {first:%Y-%m}",
        )
        if back == 0:
            check(total[0]["Estimated"] is True, "the open month is not estimated")
        if back == 13 and not bill["rows"]:
            print("note   the history does not reach 13 months back")

    start, end = months_back(today, 1), today.replace(day=1)
    if start == end:
        end = today
    window = {"Start": str(start), "End": str(end)}
    by_usage, pages = all_pages(
        get,
        TimePeriod=window,
        Granularity="DAILY",
        Metrics=metrics,
        GroupBy=by("SERVICE", "USAGE_TYPE"),
    )
    check(pages > 1, "a month by usage type fits one page: paging is not shown")
    amounts = [g["Metrics"]["UnblendedCost"]["Amount"] for r in by_usage for g in r["Groups"]]
    check(all(isinstance(amount, str) for amount in amounts), "amounts are not decimal text")
    whole = get(TimePeriod=window, Granularity="MONTHLY", Metrics=metrics)["ResultsByTime"]
    same(
        sum(decimals(by_usage).values()),
        decimal.Decimal(whole[0]["Total"]["UnblendedCost"]["Amount"]),
        "sum over usage types and the month's total",
    )
    by_tag, _ = all_pages(
        get,
        TimePeriod=window,
        Granularity="MONTHLY",
        Metrics=metrics,
        GroupBy=[{"Type": "TAG", "Key": "team"}],
    )
    keys = {group["Keys"][0] for result in by_tag for group in result["Groups"]}
    check("team$" in keys and len(keys) > 2, f"tag groups are {sorted(keys)}")
    check(all(key.startswith("team$") for key in keys), "tag groups without their key")
    same(
        sum(decimals(by_tag).values()),
        decimal.Decimal(whole[0]["Total"]["UnblendedCost"]["Amount"]),
        "sum over teams and the month's total",
    )

    noise = {"Dimensions": {"Key": "RECORD_TYPE", "Values": ["Credit", "Refund", "Tax", "Support"]}}
    with_filter, _ = all_pages(
        get,
        TimePeriod=window,
        Granularity="MONTHLY",
        Metrics=metrics,
        Filter={"Not": noise},
        GroupBy=by("RECORD_TYPE"),
    )
    left = {keys[0] for keys in decimals(with_filter)}
    check(left and not left & set(noise["Dimensions"]["Values"]), f"filtered types are {left}")
    only = get(
        TimePeriod=window,
        Granularity="MONTHLY",
        Metrics=metrics,
        Filter=noise,
    )["ResultsByTime"][0]["Total"]["UnblendedCost"]["Amount"]
    same(
        decimal.Decimal(only) + sum(decimals(with_filter).values()),
        decimal.Decimal(whole[0]["Total"]["UnblendedCost"]["Amount"]),
        "what a filter lets through and what it holds back",
    )
    nothing = get(
        TimePeriod=window,
        Granularity="MONTHLY",
        Metrics=metrics,
        Filter={"Dimensions": {"Key": "SERVICE", "Values": ["Lambda"]}},
    )["ResultsByTime"][0]["Total"]["UnblendedCost"]
    same((decimal.Decimal(nothing["Amount"]), nothing["Unit"]), (decimal.Decimal(0), "USD"), "an unknown service")

    own = sandbox.client("ce", "333333333333", "us-east-1").get_cost_and_usage(
        TimePeriod=window, Granularity="MONTHLY", Metrics=metrics, GroupBy=by("LINKED_ACCOUNT")
    )["ResultsByTime"]
    same({keys[0] for keys in decimals(own)}, {"333333333333"}, "accounts that a member sees")

    values = client.get_dimension_values(TimePeriod=window, Dimension="SERVICE")
    names = [value["Value"] for value in values["DimensionValues"]]
    same((values["ReturnSize"], values["TotalSize"]), (len(names), len(names)), "sizes")
    for service in ("AWS Lambda", "Amazon Relational Database Service", "Amazon Simple Storage Service"):
        check(service in names, f"{service} is not among the services")
    linked = client.get_dimension_values(TimePeriod=window, Dimension="LINKED_ACCOUNT")
    same(
        {v["Value"]: v["Attributes"]["description"] for v in linked["DimensionValues"]}.items()
        >= MEMBERS.items(),
        True,
        "names of the accounts",
    )
    refuse_costs(client, window, today)


def refuse_costs(client, window, today):
    get = client.get_cost_and_usage
    base = {"TimePeriod": window, "Granularity": "DAILY", "Metrics": ["UnblendedCost"]}

    def no(code="ValidationException", **changes):
        refused(code, get, 400, **{**base, **changes})

    no(GroupBy=by("SERVICE", "REGION", "RECORD_TYPE"))
    no(GroupBy=by("CHARGE_TYPE"))
    no(Granularity="HOURLY")
    no(TimePeriod={"Start": window["End"], "End": window["Start"]})
    no(TimePeriod={"Start": window["Start"], "End": window["Start"]})
    no(TimePeriod={"Start": str(months_back(today, 14)), "End": window["End"]})
    tomorrow = today + datetime.timedelta(days=1)
    no(TimePeriod={"Start": str(tomorrow), "End": str(tomorrow + datetime.timedelta(days=1))})
    no(Metrics=["Unblended"])
    service = {"Key": "SERVICE", "Values": ["AWS Lambda"]}
    no(Filter={"Dimensions": {"Key": "CHARGE_TYPE", "Values": ["Tax"]}})
    no(Filter={"Dimensions": service, "Not": {"Dimensions": service}})
    no(Filter={"And": [{"Dimensions": service}]})
    no(Filter={"Dimensions": dict(service, MatchOptions=["CONTAINS"])})
    no("InvalidNextTokenException", NextPageToken="wrong")
    grouped = {**base, "GroupBy": by("SERVICE", "USAGE_TYPE")}
    token = get(**grouped).get("NextPageToken")
    if token:
        refused(
            "RequestChangedException",
            get,
            400,
            **{**grouped, "Metrics": ["AmortizedCost"], "NextPageToken": token},
        )


def budgets(sandbox, planted):
    client = sandbox.client("budgets", PAYER, "us-east-1")
    describe = client.describe_budgets
    whole = describe(AccountId=PAYER)["Budgets"]
    names = [budget["BudgetName"] for budget in whole]
    same(len(names), len(set(names)), "names of budgets")
    check(len(whole) >= 2, "the payer has budgets")
    pages = client.get_paginator("describe_budgets").paginate(
        AccountId=PAYER, PaginationConfig={"PageSize": 1}
    )
    paged = [budget["BudgetName"] for page in pages for budget in page["Budgets"]]
    same(paged, names, "budgets page by page")
    today = datetime.datetime.fromisoformat(planted["now"]).date()
    bill = sandbox.page(f"/bill?month={today:%Y-%m}")
    for budget in whole:
        what = budget["BudgetName"]
        check(decimal.Decimal(budget["BudgetLimit"]["Amount"]) > 0, f"{what}: has a limit")
        same(budget["BudgetLimit"]["Unit"], "USD", f"{what}: unit")
        services = budget.get("CostFilters", {}).get("Service")
        rows = [row for row in bill["rows"] if not services or row["service"] in services]
        spent = sum(decimal.Decimal(row["unblended"]) for row in rows)
        told = decimal.Decimal(budget["CalculatedSpend"]["ActualSpend"]["Amount"])
        check(abs(spent - told) <= decimal.Decimal("0.01"), f"{what}: {told} of {spent} on the bill")
    member = next(iter(MEMBERS))
    own = sandbox.client("budgets", member, "us-east-1").describe_budgets(AccountId=member)
    same(own["Budgets"], [], "a member's budgets")
    refused("AccessDeniedException", describe, 400, AccountId=member)
    refused("InvalidParameterException", describe, 400, AccountId=PAYER, MaxResults=1001)
    refused("InvalidNextTokenException", describe, 400, AccountId=PAYER, NextToken="wrong")


def pricing(sandbox, planted):
    client = sandbox.client("pricing", PAYER, "us-east-1")
    get = client.get_products

    def term(field, value, kind="TERM_MATCH"):
        return {"Type": kind, "Field": field, "Value": value}

    def products(service, *filters):
        pages = client.get_paginator("get_products").paginate(
            ServiceCode=service, Filters=list(filters), PaginationConfig={"PageSize": 7}
        )
        texts = [text for page in pages for text in page["PriceList"]]
        return [json.loads(text) for text in texts]

    def prices(product):
        (offer,) = product["terms"]["OnDemand"].values()
        tiers = sorted(
            offer["priceDimensions"].values(), key=lambda it: decimal.Decimal(it["beginRange"])
        )
        same(tiers[-1]["endRange"], "Inf", f"{product['product']['sku']}: the last tier's end")
        for tier, following in zip(tiers, tiers[1:]):
            same(tier["endRange"], following["beginRange"], "a tier ends where the next begins")
        return [decimal.Decimal(tier["pricePerUnit"]["USD"]) for tier in tiers]

    for region, prefix in [("us-east-1", ""), ("eu-west-1", "EU-"), ("eu-west-3", "EUW3-")]:
        found = products("AmazonMSK", term("regionCode", region))
        by_usage = {it["product"]["attributes"]["usagetype"]: it for it in found}
        same(len(by_usage), len(found), f"usage types of MSK in {region}, each once")
        large, xlarge = (prices(by_usage[f"{prefix}Kafka.m7g.{size}"]) for size in ("large", "xlarge"))
        same(xlarge, [2 * large[0]], f"an xlarge is two larges in {region}")
    skus = [it["product"]["sku"] for it in products("AmazonRDS")]
    same(len(skus), len(set(skus)), "SKUs of RDS, each once")
    node = [
        term("regionCode", "us-east-1"),
        term("instanceType", "m6g.xlarge"),
        term("operatingSystem", "Linux"),
        term("tenancy", "Shared"),
        term("preInstalledSw", "NA"),
        term("capacitystatus", "Used"),
    ]
    same([prices(it) for it in products("AmazonEC2", *node)], [[decimal.Decimal("0.154")]], "a node")
    storage = products(
        "AmazonS3", term("regionCode", "us-east-1"), term("usagetype", "TimedStorage-ByteHrs")
    )
    tiers = [decimal.Decimal(it) for it in ("0.023", "0.022", "0.021")]
    same([prices(it) for it in storage], [tiers], "tiers of S3 Standard")
    both = products("AmazonS3", term("volumeType", "Standard,Amazon Glacier", "ANY_OF"))
    same({it["product"]["attributes"]["volumeType"] for it in both}, {"Standard", "Amazon Glacier"}, "any of two")
    same(products("AmazonMSK", term("regionCode", "mars-north-1")), [], "products of no region")
    refused("InvalidParameterException", get, 400, ServiceCode="AmazonTea")
    refused("InvalidParameterException", get, 400, ServiceCode="AmazonMSK", MaxResults=101)
    refused("InvalidNextTokenException", get, 400, ServiceCode="AmazonMSK", NextToken="wrong")


def commitments(sandbox, planted):
    plans = sandbox.client("savingsplans", PAYER, "us-east-1").describe_savings_plans
    (plan,) = plans()["savingsPlans"]
    same(plan["savingsPlanType"], "Compute", "type of the payer's plan")
    same(plans(states=["active"])["savingsPlans"], [plan], "plans that are active")
    same(plans(states=["retired"])["savingsPlans"], [], "plans that are over")
    for account in MEMBERS:
        own = sandbox.client("savingsplans", account, "us-east-1").describe_savings_plans()
        same(own["savingsPlans"], [], f"plans of {account}")
    refused("ValidationException", plans, 400, nextToken="wrong")
    coverage = sandbox.client("ce", PAYER, "us-east-1").get_savings_plans_coverage
    today = datetime.datetime.fromisoformat(planted["now"]).date()
    period = {
        "Start": f"{today - datetime.timedelta(days=10)}",
        "End": f"{today - datetime.timedelta(days=3)}",
    }
    by = [{"Type": "DIMENSION", "Key": key} for key in ("SERVICE", "REGION")]
    rows = coverage(TimePeriod=period, GroupBy=by)["SavingsPlansCoverages"]
    places = [(row["Attributes"]["SERVICE"], row["Attributes"]["REGION"]) for row in rows]
    same(len(places), len(set(places)), "services and regions of the coverage, each once")
    for row in rows:
        covered, on_demand, total = (
            decimal.Decimal(row["Coverage"][name])
            for name in ("SpendCoveredBySavingsPlans", "OnDemandCost", "TotalCost")
        )
        same(covered + on_demand, total, f"coverage of {row['Attributes']}")
    check(any(float(row["Coverage"]["CoveragePercentage"]) > 0 for row in rows), "something is covered")
    refused("ValidationException", coverage, 400, TimePeriod=period, GroupBy=by, Granularity="DAILY")


def advisors(sandbox, planted):
    large, seen = set(), 0
    for region in planted["regions"]:
        client = sandbox.client("compute-optimizer", "111111111111", region)
        same(client.get_enrollment_status()["status"], "Active", "enrolment of prod")
        token, found = {}, []
        while True:
            page = client.get_rds_database_recommendations(maxResults=4, **token)
            found += page["rdsDBRecommendations"]
            if "nextToken" not in page:
                break
            token = {"nextToken": page["nextToken"]}
        seen += len(found)
        large |= {
            it["resourceArn"].rsplit(":", 1)[1]
            for it in found
            if it["instanceFinding"] == "Overprovisioned"
        }
        functions = client.get_lambda_function_recommendations()["lambdaFunctionRecommendations"]
        check(all(it["functionArn"].endswith(":$LATEST") for it in functions), "versions of functions")
    check(seen > 3, f"only {seen} databases are judged")
    planted_large = {
        it["resource_id"]
        for it in planted["planted"]
        if it["rule"] == "rds-overprov-compute" and it["account"] == "111111111111"
    }
    same(len(planted_large - large), 1, "databases on which Compute Optimizer disagrees")
    dev = sandbox.client("compute-optimizer", "333333333333")
    same(dev.get_enrollment_status()["status"], "Inactive", "enrolment of dev")
    refused("OptInRequiredException", dev.get_rds_database_recommendations, 400)
    hub = sandbox.client("cost-optimization-hub", PAYER, "us-east-1")
    (status,) = hub.list_enrollment_statuses()["items"]
    same(status["status"], "Active", "enrolment of the payer")
    pages = hub.get_paginator("list_recommendations").paginate(
        filter={"resourceTypes": ["RdsDbInstance", "LambdaFunction"]}
    )
    items = [it for page in pages for it in page["items"]]
    same({it["resourceId"] for it in items}, large, "what the hub passes on")
    member = sandbox.client("cost-optimization-hub", "111111111111", "us-east-1")
    refused("ValidationException", member.list_recommendations, 400)


# ---- what every service refuses -----------------------------------------------------------------


def odd_requests(sandbox, planted):
    """Requests that no SDK makes, signed by botocore and sent by hand."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    def send(service, path, headers, body, method="POST"):
        request = AWSRequest(method, sandbox.endpoint + path, data=body, headers=headers)
        keys = Credentials("AKIA111111111111TEST", "secret")
        SigV4Auth(keys, service, "eu-west-1").add_auth(request)
        wire = urllib.request.Request(
            request.url, data=body or None, headers=dict(request.headers.items()), method=method
        )
        try:
            with urllib.request.urlopen(wire, timeout=60) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read(), error.headers

    def json_call(service, target, body):
        headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
        return send(service, "/", headers, body)

    status, body, _ = json_call("elasticmapreduce", "ElasticMapReduce.ListClusters", b"{not json")
    same((status, json.loads(body)["__type"]), (400, "SerializationException"), "broken JSON")
    status, body, _ = json_call("elasticmapreduce", "ElasticMapReduce.ListClusters", b'{"Marker": 7}')
    same((status, json.loads(body)["__type"]), (400, "SerializationException"), "a number as text")
    status, body, _ = json_call("elasticmapreduce", "ElasticMapReduce.NoSuchThing", b"{}")
    same((status, json.loads(body)["__type"]), (400, "UnknownOperationException"), "an unknown call")
    status, body, _ = json_call(
        "elasticmapreduce", "ElasticMapReduce.ListClusters", b'{"NoSuchMember": {"a": [1]}}'
    )
    same(status, 200, "an unknown member")
    status, body, headers = send("kafka", "/v9/nothing", {}, b"", "GET")
    same(
        (status, headers["x-amzn-errortype"]), (404, "UnknownOperationException"), "an unknown path"
    )
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    status, body, _ = send("rds", "/", form, b"Action=NoSuchThing&Version=2014-10-31")
    check(status == 400 and b"<Code>InvalidAction</Code>" in body, "an unknown action")
    cbor = {"smithy-protocol": "rpc-v2-cbor", "Content-Type": "application/cbor"}
    path = "/service/GraniteServiceVersion20100801/operation/"
    status, body, headers = send("monitoring", path + "NoSuchThing", cbor, b"\xa0")
    same((status, headers["Content-Type"]), (400, "application/cbor"), "an unknown CBOR call")
    check(b"UnknownOperationException" in body, "an unknown CBOR call has another error")
    status, body, headers = send("monitoring", path + "GetMetricData", cbor, b"\xff\xff")
    check(status == 400 and b"SerializationException" in body, "broken CBOR")
    status, body, _ = send("dynamodb", "/", {}, b"{}")
    same(status, 400, "a service that is not simulated")


def slack(sandbox, planted):
    from slack_sdk import WebClient
    from slack_sdk.errors import SlackApiError
    from slack_sdk.webhook import WebhookClient

    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "boto3 check"}},
        {"type": "section", "text": {"type": "mrkdwn", "text": "*bold* <https://e.com|link>"}},
    ]
    hook = WebhookClient(sandbox.endpoint + "/slack/webhook/T000/B000/check")
    answer = hook.send(text="boto3 check", blocks=blocks)
    same((answer.status_code, answer.body), (200, "ok"), "a webhook")
    same(hook.send(text="").body, "no_text", "an empty message")
    long = [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3001}}]
    same(hook.send(text="x", blocks=long).body, "invalid_blocks", "a section too long")
    bot = WebClient(token="xoxb-check", base_url=sandbox.endpoint + "/slack/api/")
    posted = bot.chat_postMessage(channel="#check", text="boto3 check", blocks=blocks)
    updated = bot.chat_update(channel=posted["channel"], ts=posted["ts"], text="changed", blocks=blocks)
    same(updated["ts"], posted["ts"], "an updated message")
    try:
        WebClient(token="invalid", base_url=sandbox.endpoint + "/slack/api/").chat_postMessage(
            channel="#check", text="x"
        )
        check(False, "an invalid token is taken")
    except SlackApiError as error:
        same(error.response["error"], "invalid_auth", "an invalid token")
    kept = sandbox.page("/slack/messages")["messages"]
    mine = [message for message in kept if message["channel"] in ("#check", "T000/B000/check")]
    check(len(mine) >= 2 and any(m["edited"] and m["text"] == "changed" for m in mine), "kept messages")
    with urllib.request.urlopen(sandbox.endpoint + "/slack", timeout=60) as answer:
        html = answer.read().decode()
    check("<b>bold</b>" in html and "(edited" in html, "the page of messages")


def has_planted(planted, prefix, known, what):
    for kind in ("planted", "near_misses", "expected_unknowns"):
        for row in planted[kind]:
            if row["rule"].startswith(prefix):
                check(
                    row["resource_id"] in known,
                    f"{row['resource_id']} ({kind}, {row['rule']}) is not among the {what}",
                )


OPERATIONS = """
sts:AssumeRole sts:GetCallerIdentity budgets:DescribeBudgets
pricing:GetProducts
savingsplans:DescribeSavingsPlans ce:GetSavingsPlansCoverage
compute-optimizer:GetEnrollmentStatus compute-optimizer:GetRDSDatabaseRecommendations
compute-optimizer:GetLambdaFunctionRecommendations cost-optimization-hub:ListEnrollmentStatuses
cost-optimization-hub:ListRecommendations
kafka:ListClustersV2 kafka:DescribeClusterV2 kafka:ListNodes
emr:ListClusters emr:DescribeCluster emr:ListInstanceGroups emr:ListInstanceFleets emr:ListInstances
emr:GetManagedScalingPolicy emr:GetAutoTerminationPolicy emr:ListSteps
emr-serverless:ListApplications emr-serverless:GetApplication emr-serverless:ListJobRuns
emr-serverless:GetJobRun
lambda:ListFunctions lambda:ListProvisionedConcurrencyConfigs lambda:GetFunctionConcurrency
lambda:ListTags lambda:ListEventSourceMappings lambda:GetAccountSettings logs:DescribeLogGroups
rds:DescribeDBInstances rds:DescribeDBClusters rds:DescribeDBSnapshots rds:DescribeDBClusterSnapshots
rds:DescribeReservedDBInstances rds:ListTagsForResource
s3:ListBuckets s3:GetBucketLocation s3:GetBucketVersioning s3:GetBucketLifecycleConfiguration
s3:GetBucketReplication s3:ListBucketIntelligentTieringConfigurations
s3:ListBucketMetricsConfigurations s3:GetBucketTagging s3:ListMultipartUploads
cloudwatch:GetMetricData cloudwatch:ListMetrics
ce:GetCostAndUsage ce:GetDimensionValues
""".split()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--endpoint", required=True, help="http://127.0.0.1:4566")
    parser.add_argument("--only", action="append", help="name of a part, such as kafka")
    arguments = parser.parse_args()
    sandbox = Sandbox(arguments.endpoint)
    planted = sandbox.page("/planted")
    parts = [
        sts,
        unsigned,
        kafka,
        emr,
        emr_serverless,
        lambda_and_logs,
        rds,
        s3,
        cloudwatch,
        cost_explorer,
        budgets,
        pricing,
        commitments,
        advisors,
        odd_requests,
        slack,
    ]
    for part in parts:
        if arguments.only and part.__name__ not in arguments.only:
            continue
        before = len(problems)
        started = datetime.datetime.now()
        try:
            part(sandbox, planted)
        except Exception:  # one broken part must not hide the others
            check(False, f"{part.__name__} stopped:\n{traceback.format_exc()}")
        took = (datetime.datetime.now() - started).total_seconds()
        result = "ok" if len(problems) == before else f"{len(problems) - before} wrong"
        print(f"{part.__name__:16} {result:10} {took:6.1f} s")
    if not arguments.only:
        for operation in OPERATIONS:
            check(calls[operation], f"{operation} was never answered")
    print(f"boto3 {boto3.__version__}: {sum(calls.values())} answers of {len(calls)} operations")
    if problems:
        print(f"{len(problems)} problems", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
