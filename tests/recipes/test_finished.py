"""A finished run leaves a plain model, a report and its card."""


def test_a_finished_run_leaves_model_report_and_card(finished_runs):
    for name in ("bert-ner", "bert-sentiment", "vit-images"):
        place = finished_runs / "runs" / name
        missing = [
            file
            for file in ("config.json", "model.safetensors", "report.json", "report.html", "README.md")
            if not (place / file).is_file()
        ]
        assert not missing
