"""A first trade in plain boto3: open an account, deposit, reserve, fill, and read what came of it.

Usage: python3 first_trade.py .local/env
"""

import json
import sys
import uuid
from datetime import datetime, timezone
from decimal import Decimal

import boto3

settings = dict(line.rstrip("\n").split("=", 1) for line in open(sys.argv[1]) if "=" in line)
sqs = boto3.client(
    "sqs",
    endpoint_url=settings["AWS_ENDPOINT_URL_SQS"],
    region_name=settings["AWS_REGION"],
    aws_access_key_id=settings["AWS_ACCESS_KEY_ID"],
    aws_secret_access_key=settings["AWS_SECRET_ACCESS_KEY"],
)
requests = sqs.get_queue_url(QueueName="clearing-acme_spot.fifo")["QueueUrl"]
outcomes = sqs.get_queue_url(QueueName="outcome-acme_spot.fifo")["QueueUrl"]
run = uuid.uuid4().hex[:8]
account = f"P-{run}"


def publish(request_id, event):
    header = {
        "version": 1,
        "request_id": f"{request_id}-{run}",
        "initiated_at": datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "company": "acme",
        "product": "spot",
        "customer_group": "retail",
        "account": account,
    }
    sqs.send_message(
        QueueUrl=requests,
        MessageGroupId=f"retail_{account}",
        MessageDeduplicationId=header["request_id"],
        MessageBody=json.dumps({"header": header, "event": event}),
    )


waiting = []


def next_outcome():
    """The next outcome of our account; those of others are not ours to read, so they are left."""
    for _ in range(10):
        if waiting:
            return waiting.pop(0)
        received = sqs.receive_message(QueueUrl=outcomes, WaitTimeSeconds=5, MaxNumberOfMessages=10)
        for message in received.get("Messages", []):
            body = json.loads(message["Body"])
            if body["header"]["account"] != account:
                continue
            sqs.delete_message(QueueUrl=outcomes, ReceiptHandle=message["ReceiptHandle"])
            print(json.dumps(body["outcome"]))
            waiting.append(body)
    sys.exit("no outcome came")


def balance(outcome, currency):
    return next(b for b in outcome["outcome"]["balances"] if b["currency"] == currency)


publish("open", {"type": "account.opened", "customer": "C-1"})
publish("deposit", {"type": "deposit.received", "currency": "USDT", "amount": "1000.00", "reference": "tx-1"})
publish("order", {"type": "order.reserved", "order_id": "o-1", "currency": "USDT", "amount": "500.00"})
publish("fill", {
    "type": "trade.filled", "trade_id": "t-1", "order_id": "o-1", "base": "BTC", "quote": "USDT", "side": "buy",
    "quantity": "0.0125", "price": "39432.48", "reserved": "500.00",
    "fee": {"currency": "USDT", "amount": "0.25"}, "liquidity": "taker",
})
publish("too-much", {"type": "order.reserved", "order_id": "o-2", "currency": "USDT", "amount": "5000.00"})

opened, deposited, reserved, filled, rejected = (next_outcome() for _ in range(5))
for number, outcome in enumerate((opened, deposited, reserved, filled), start=1):
    assert outcome["outcome"]["status"] == "posted", outcome
    assert outcome["outcome"]["lane_seq"] == number, outcome
assert filled["header"]["request_id"] == f"fill-{run}"
assert balance(reserved, "USDT")["frozen"] == "500.000000"
spent = Decimal("0.0125") * Decimal("39432.48") + Decimal("0.25")
assert balance(filled, "USDT")["available"] == f"{Decimal(1000) - spent:.6f}", filled
assert balance(filled, "USDT")["frozen"] == "0.000000"
assert balance(filled, "BTC")["available"] == "0.01250000"
assert rejected["outcome"]["status"] == "rejected"
assert rejected["outcome"]["reason"]["code"] == "insufficient_funds", rejected
print("as it should be")
