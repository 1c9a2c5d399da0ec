"""The few lines of Python that use a model, as its card shows them: they run as they stand."""

from typing import Any

TEXT = "The parcel came a day late, but all of it was there."
PAIR = ("A man is playing a guitar on stage.", "Somebody makes music.")
SHORT = 100  # letters
SENTENCE = "Ada Lovelace wrote to Charles Babbage from London."
# Of each task what the pipeline is called in the snippet, the class of its model, and what makes its inputs.
PIPELINES = {
    "token-classification": ("tagger", "AutoModelForTokenClassification", "AutoTokenizer"),
    "text-classification": ("classifier", "AutoModelForSequenceClassification", "AutoTokenizer"),
    "image-classification": ("classifier", "AutoModelForImageClassification", "AutoImageProcessor"),
}


def usage(report: dict[str, Any], model: str) -> str:
    """How the saved model `model` is loaded and asked."""
    task = report["task"]["name"]
    name, *_ = PIPELINES.get(task, ("model",))
    made = f"{name} = pipeline({literal(task)}, model={literal(model)}{options(report)})"
    return "\n".join(["from transformers import pipeline", "", made, *asked(report, name)])


def adapter_usage(report: dict[str, Any], model: str) -> str | None:
    """How the adapters beside the saved model `model` are put on their base.

    None for a task of unknown class, and where the base cannot be had again, since parts of it were drawn at random.
    """
    task, drawn = report["task"]["name"], report["settings"].get("reinit_blocks")
    if task not in PIPELINES or drawn or report["origin"]["base"]["relation"] is None:
        return None
    name, auto_model, auto_processor = PIPELINES[task]
    role = "image_processor" if auto_processor == "AutoImageProcessor" else "tokenizer"
    base, dtype = report["origin"]["base"], literal("float32")
    lines = [
        "from peft import PeftModel",
        f"from transformers import {', '.join(sorted(['AutoConfig', auto_model, auto_processor]))}, pipeline",
        "",
        f"home = {literal(model)}  # has the labels and what reads the inputs; the adapters lie in its folder adapter/",
        f"base = {auto_model}.from_pretrained(",
        f"    {literal(base['id'] or base['name'])},",
        "    config=AutoConfig.from_pretrained(home),",
        f"    dtype={dtype},",
        "    ignore_mismatched_sizes=True,",
        ")",
        f"model = PeftModel.from_pretrained(base, home, subfolder={literal('adapter')}).merge_and_unload()",
        f"processor = {auto_processor}.from_pretrained(home)",
        f"{name} = pipeline({literal(task)}, model=model, {role}=processor{options(report)})",
    ]
    return "\n".join([*lines, *asked(report, name)])


def options(report: dict[str, Any]) -> str:
    """What the pipeline is made with besides the model."""
    # The first token of a word is what training gave a label, and what decided when the model was judged.
    return f", aggregation_strategy={literal('first')}" if report["task"]["name"] == "token-classification" else ""


def asked(report: dict[str, Any], name: str) -> list[str]:
    """The lines that put an input to the pipeline and print what it says."""
    task, data, problem = report["task"]["name"], report["data"], report["settings"].get("problem")
    if task not in PIPELINES:
        return []
    pair = task == "text-classification" and bool(data.get("pairs"))
    call = given(report, pair=pair)
    if problem == "multi-label":
        # None is not heard by the pipeline of images.
        most = "None" if task == "text-classification" else len(data["labels"])
        label, score = f"answer[{literal('label')}]", f"answer[{literal('score')}]"
        return [f"answers = {name}({call}, top_k={most})", f"print([{label} for answer in answers if {score} > 0.5])"]
    if problem not in ("regression", "ordinal"):
        return [f"print({name}({call}))"]
    number = f"{name}({call}){'' if pair else '[0]'}[{literal('score')}]"
    if problem == "regression":
        return [f"print({number})"]
    low, _, high = data["labels"][0].partition(" to ")
    return [f"score = {number}", f"print(min(max(round(score), {int(low)}), {int(high)}))"]


def given(report: dict[str, Any], *, pair: bool) -> str:
    """What the pipeline is called with, as Python."""
    task = report["task"]["name"]
    if task == "image-classification":
        return literal("picture.png")
    if task == "token-classification":
        return literal(own_text(report) or SENTENCE)
    text = literal(own_text(report) or TEXT)
    if pair:
        text = f"{{{literal('text')}: {literal(PAIR[0])}, {literal('text_pair')}: {literal(PAIR[1])}}}"
    longest = report["settings"].get("max_length") or cut_at(report["data"])
    # Else the pipeline fails on what is longer than the model reads.
    return f"{text}, truncation=True" + (f", max_length={longest}" if longest else "")


def cut_at(data: dict[str, Any]) -> int | None:
    """How many tokens of a row were read, where a row was longer."""
    splits = [facts for facts in data.values() if isinstance(facts, dict) and facts.get("truncated")]
    return max((facts["most_tokens"] for facts in splits), default=None)


def own_text(report: dict[str, Any]) -> str:
    """A text like those that the model learnt from: the first example that is short, whole and plain; else nothing."""
    for example in report["examples"].values():
        text = " ".join(part for part in (example["before"], example["text"], example["after"]) if part)
        if text and len(text) <= SHORT and text.isascii() and text.isprintable():
            return text
    return ""


def literal(value: str) -> str:
    """Text as a Python literal inside a code block, where Markdown and HTML have no meaning."""
    found = ascii(value)
    # With the quotes that formatters of code prefer, so that a formatted card is still the rendered one.
    return found if '"' in found or "'" in found[1:-1] else f'"{found[1:-1]}"'
