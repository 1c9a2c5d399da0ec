"""What scores are called for a reader."""

SCORES = {  # score -> its name for a reader
    "accuracy": "accuracy",
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "macro_f1": "macro F1",
    "top5_accuracy": "top-5 accuracy",
    "mcc": "MCC",
    "quadratic_kappa": "quadratic kappa",
    "pearson": "Pearson r",
    "spearman": "Spearman rho",
    "rmse": "RMSE",
    "mae": "MAE",
}


def headline_text(key: str) -> str:
    """The name of a score as a reader knows it: F1, WER, accuracy, Pearson r."""
    return SCORES.get(key) or (key.upper() if len(key) <= 3 else key.replace("_", " "))
