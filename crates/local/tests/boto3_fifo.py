"""Asks the broker what boto3 asks of SQS; boto3 checks the MD5 digests by itself.

Run by the test `boto3_works_against_the_broker` with the endpoint as the only argument.
"""

import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

sqs = boto3.client(
    "sqs",
    endpoint_url=sys.argv[1],
    region_name="us-east-1",
    aws_access_key_id="id",
    aws_secret_access_key="secret",
    config=Config(retries={"max_attempts": 0}),
)


def refused(code, call, **parameters):
    try:
        call(**parameters)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error.response
    else:
        raise AssertionError(f"{code} was expected")


def create(name, **attributes):
    attributes["FifoQueue"] = "true"
    return sqs.create_queue(QueueName=name, Attributes=attributes, tags={"team": "cap"})["QueueUrl"]


def receive(url, **parameters):
    parameters = {"MaxNumberOfMessages": 10, "AttributeNames": ["All"], **parameters}
    return sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"], **parameters).get("Messages", [])


# Queues.
dlq = create("boto-dlq.fifo")
dlq_arn = sqs.get_queue_attributes(QueueUrl=dlq, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
url = create(
    "boto.fifo",
    ContentBasedDeduplication="true",
    RedrivePolicy=json.dumps({"deadLetterTargetArn": dlq_arn, "maxReceiveCount": 2}),
)
assert sqs.get_queue_url(QueueName="boto.fifo")["QueueUrl"] == url
assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"team": "cap"}
pages = sqs.get_paginator("list_queues").paginate(PaginationConfig={"PageSize": 1})
assert [page["QueueUrls"] for page in pages] == [[dlq], [url]]
refused("AWS.SimpleQueueService.NonExistentQueue", sqs.get_queue_url, QueueName="none.fifo")
try:
    sqs.get_queue_url(QueueName="none.fifo")
except sqs.exceptions.QueueDoesNotExist:
    pass
refused("QueueAlreadyExists", create, name="boto.fifo", ContentBasedDeduplication="false")
refused("InvalidAttributeName", create, name="other.fifo", Nonsense="1")

# Messages, with every kind of attribute.
sent = sqs.send_message(
    QueueUrl=url,
    MessageBody="grüße 💶 \"quoted\"",
    MessageGroupId="a",
    MessageAttributes={
        "text": {"DataType": "String", "StringValue": "value"},
        "number": {"DataType": "Number.int", "StringValue": "42"},
        "bytes": {"DataType": "Binary", "BinaryValue": bytes(range(256))},
    },
    MessageSystemAttributes={"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1"}},
)
again = sqs.send_message(QueueUrl=url, MessageBody="grüße 💶 \"quoted\"", MessageGroupId="a")
assert again["MessageId"] == sent["MessageId"]
assert again["SequenceNumber"] == sent["SequenceNumber"] and len(sent["SequenceNumber"]) == 20
[message] = receive(url)
assert message["Body"] == "grüße 💶 \"quoted\""
assert message["MessageAttributes"]["bytes"]["BinaryValue"] == bytes(range(256))
assert message["Attributes"]["MessageGroupId"] == "a"
assert message["Attributes"]["AWSTraceHeader"] == "Root=1"
sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=60)
sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
assert receive(url) == []

# Batches.
entries = [{"Id": str(n), "MessageBody": f"m{n}", "MessageGroupId": "b"} for n in range(10)]
entries[3]["MessageBody"] = "\x01"
batch = sqs.send_message_batch(QueueUrl=url, Entries=entries)
assert len(batch["Successful"]) == 9
[failed] = batch["Failed"]
assert (failed["Id"], failed["Code"], failed["SenderFault"]) == ("3", "InvalidMessageContents", True)
received = receive(url, ReceiveRequestAttemptId="try")
assert [message["Body"] for message in received] == [f"m{n}" for n in range(10) if n != 3]
replayed = receive(url, ReceiveRequestAttemptId="try")
assert [m["ReceiptHandle"] for m in replayed] == [m["ReceiptHandle"] for m in received]
handles = [{"Id": m["MessageId"], "ReceiptHandle": m["ReceiptHandle"]} for m in received]
sqs.change_message_visibility_batch(
    QueueUrl=url, Entries=[{**handle, "VisibilityTimeout": 30} for handle in handles]
)
assert len(sqs.delete_message_batch(QueueUrl=url, Entries=handles)["Successful"]) == 9
refused("AWS.SimpleQueueService.EmptyBatchRequest", sqs.send_message_batch, QueueUrl=url, Entries=[])
refused("MissingParameter", sqs.send_message, QueueUrl=url, MessageBody="x")
refused("InvalidMessageContents", sqs.send_message, QueueUrl=url, MessageBody="\x00", MessageGroupId="a")
refused("InvalidParameterValue", sqs.send_message, QueueUrl=dlq, MessageBody="x", MessageGroupId="a")
refused("ReceiptHandleIsInvalid", sqs.delete_message, QueueUrl=url, ReceiptHandle="x")

# Dead letters, and their way back.
sqs.send_message(QueueUrl=url, MessageBody="poison", MessageGroupId="c")
for _ in range(2):
    [message] = receive(url, VisibilityTimeout=0)
assert receive(url) == []
assert sqs.list_dead_letter_source_queues(QueueUrl=dlq)["queueUrls"] == [url]
sqs.start_message_move_task(SourceArn=dlq_arn)
[message] = receive(url, WaitTimeSeconds=10)
assert message["Body"] == "poison"
sqs.list_message_move_tasks(SourceArn=dlq_arn)["Results"][0]["Status"]
sqs.purge_queue(QueueUrl=url)
sqs.delete_queue(QueueUrl=url)
refused("AWS.SimpleQueueService.NonExistentQueue", receive, url=url)
print("boto3", boto3.__version__, "agrees")
