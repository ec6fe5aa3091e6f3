use super::*;

/// A state with what states hold: secrets, data sources, modules, indices, a deposed instance.
const STATE: &str = r#"{
  "version": 4, "terraform_version": "1.9.5", "serial": 12, "lineage": "2c1d",
  "outputs": { "password": { "value": "hunter2", "type": "string", "sensitive": true } },
  "resources": [
    { "mode": "data", "type": "aws_db_instance", "name": "seen", "instances": [
      { "attributes": { "identifier": "orders", "arn": "arn:aws:rds:eu-west-1:1:db:orders" } } ] },
    { "module": "module.orders[\"eu\"]", "mode": "managed", "type": "aws_db_instance", "name": "this",
      "provider": "provider[\"registry.terraform.io/hashicorp/aws\"]",
      "instances": [
        { "index_key": 0, "schema_version": 2, "sensitive_attributes": [],
          "attributes": { "arn": "arn:aws:rds:eu-west-1:111111111111:db:orders", "id": "db-ABC",
            "identifier": "orders", "password": "hunter2", "instance_class": "db.r6g.xlarge",
            "multi_az": true, "iops": 3000, "tags": { "instance_class": "not this one" } } },
        { "index_key": 0, "deposed": "0f1e", "attributes": { "identifier": "orders-old" } } ] },
    { "mode": "managed", "type": "aws_msk_cluster", "name": "events", "instances": [
      { "index_key": "eu", "attributes": { "cluster_name": "events", "broker_node_group_info": [
        { "client_subnets": ["subnet-1"], "instance_type": "kafka.m5.large",
          "storage_info": [ { "ebs_storage_info": [ { "volume_size": 100 } ] } ] } ] } } ] },
    { "mode": "managed", "type": "aws_lambda_function", "name": "etl", "instances": [
      { "attributes": { "function_name": "etl", "architectures": ["x86_64"],
        "environment": [ { "variables": { "TOKEN": "hunter2" } } ] } } ] },
    { "mode": "managed", "type": "aws_iam_role", "name": "etl", "instances": [ { "attributes": {} } ] }
  ],
  "check_results": null
}"#;

/// The same resources as `terraform show -json` prints them.
const SHOWN: &str = r#"{ "format_version": "1.0", "terraform_version": "1.9.5", "values": {
  "outputs": { "password": { "sensitive": true, "value": "hunter2" } },
  "root_module": {
    "resources": [
      { "address": "aws_msk_cluster.events[\"eu\"]", "mode": "managed", "type": "aws_msk_cluster",
        "name": "events", "index": "eu", "values": { "cluster_name": "events",
          "broker_node_group_info": [ { "instance_type": "kafka.m5.large",
            "storage_info": [ { "ebs_storage_info": [ { "volume_size": 100 } ] } ] } ] } },
      { "address": "aws_lambda_function.etl", "mode": "managed", "type": "aws_lambda_function",
        "name": "etl", "values": { "function_name": "etl", "architectures": ["x86_64"] } },
      { "address": "data.aws_db_instance.seen", "mode": "data", "type": "aws_db_instance",
        "name": "seen", "values": { "identifier": "orders" } } ],
    "child_modules": [ { "address": "module.orders[\"eu\"]", "resources": [
      { "address": "module.orders[\"eu\"].aws_db_instance.this[0]", "mode": "managed",
        "type": "aws_db_instance", "name": "this", "index": 0,
        "values": { "arn": "arn:aws:rds:eu-west-1:111111111111:db:orders", "identifier": "orders",
          "password": "hunter2", "instance_class": "db.r6g.xlarge", "multi_az": true, "iops": 3000 },
        "sensitive_values": { "password": true } } ] } ] } } }"#;

fn all(text: &str) -> Vec<StateResource> {
    let mut resources = read("s", text.as_bytes()).unwrap();
    resources.sort_by(|a, b| a.address.cmp(&b.address));
    resources
}

#[test]
fn both_formats_say_the_same() {
    let resources = all(STATE);
    let addresses: Vec<&str> = resources.iter().map(|it| it.address.as_str()).collect();
    assert_eq!(
        addresses,
        [
            "aws_lambda_function.etl",
            "aws_msk_cluster.events[\"eu\"]",
            "module.orders[\"eu\"].aws_db_instance.this[0]"
        ]
    );
    assert_eq!(resources, all(SHOWN));
    let database = &resources[2];
    assert_eq!(database.module.as_deref(), Some("module.orders[\"eu\"]"));
    assert_eq!(database.text("instance_class"), Some("db.r6g.xlarge"));
    assert_eq!(database.values["multi_az"], true);
    assert_eq!(resources[0].values["architectures"], serde_json::json!(["x86_64"]));
    let broker = &resources[1].values;
    assert_eq!(broker["broker_node_group_info.instance_type"], "kafka.m5.large");
    assert_eq!(
        broker["broker_node_group_info.storage_info.ebs_storage_info.volume_size"],
        serde_json::json!(100)
    );
}

/// With the keys of all objects in the order of the alphabet.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(entries) => {
            let entries: BTreeMap<String, Value> = entries.into_iter().collect();
            entries.into_iter().map(|(key, value)| (key, sorted(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        value => value,
    }
}

#[test]
fn the_order_of_keys_does_not_matter() {
    for text in [STATE, SHOWN] {
        let sorted = sorted(serde_json::from_str(text).unwrap()).to_string();
        assert_ne!(sorted.find("\"resources\""), text.find("\"resources\""));
        assert_eq!(all(&sorted), all(STATE));
    }
}

#[test]
fn nothing_secret_is_kept() {
    for text in [STATE, SHOWN] {
        assert!(!format!("{:?}", all(text)).contains("hunter2"));
    }
}

#[test]
fn what_is_no_state_is_told_without_its_content() {
    let secret = r#"{"version": 4, "resources": "hunter2"}"#;
    for (text, said) in [
        ("", "it ends too early, on line 1"),
        (&STATE[..700], "it ends too early"),
        ("\u{feff}{}", "it is no JSON from line 1, column 1 on"),
        ("terraform {}", "it is no JSON from line 1"),
        (r#"{"version": 4} hunter2"#, "it is no JSON"),
        (r#"{"version": 3, "modules": []}"#, "format 3; only format 4 is read"),
        (r#"{"format_version": "1.2", "planned_values": {}}"#, "it is a plan"),
        (r#"{"encrypted_data": "x", "encryption_version": "v0"}"#, "encrypted by OpenTofu"),
        ("[]", "no Terraform state"),
        (r#"{"hunter2": 1}"#, "no Terraform state"),
        (secret, "no Terraform state"),
    ] {
        let error = read("s", text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    // A state of nothing is a state.
    assert_eq!(read("s", r#"{"format_version": "1.0"}"#.as_bytes()).unwrap(), []);
}

/// A large state as a stream that is never whole anywhere.
struct Large {
    left: usize,
    piece: Vec<u8>,
    at: usize,
}

impl Read for Large {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.piece.len() {
            let Some(left) = self.left.checked_sub(1) else { return Ok(0) };
            self.left = left;
            self.at = 0;
            self.piece = match left {
                0 => b"{}]}".to_vec(),
                _ => format!(
                    r#"{{"mode":"managed","type":"aws_db_instance","name":"n{left}","instances":[{{
                    "attributes":{{"identifier":"n{left}","user_data":"{}"}}}}]}},"#,
                    "x".repeat(4_000)
                )
                .into_bytes(),
            };
        }
        let some = (self.piece.len() - self.at).min(buffer.len());
        buffer[..some].copy_from_slice(&self.piece[self.at..self.at + some]);
        self.at += some;
        Ok(some)
    }
}

#[test]
fn a_large_state_is_read_as_a_stream() {
    let start = br#"{"version":4,"resources":["#.to_vec();
    let resources = read("s", Large { left: 2_000, piece: start, at: 0 }).unwrap();
    assert_eq!(resources.len(), 1_999);
    assert_eq!(resources[0].values.len(), 1);
}
