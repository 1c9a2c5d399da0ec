"""Citations in BibTeX: of hfkit itself, and of the papers that a strategy goes back to."""

from typing import Any

ULMFIT = """@inproceedings{howard2018ulmfit,
  title = {Universal Language Model Fine-tuning for Text Classification},
  author = {Howard, Jeremy and Ruder, Sebastian},
  booktitle = {Proceedings of the 56th Annual Meeting of the Association for Computational Linguistics},
  year = {2018},
  url = {https://aclanthology.org/P18-1031}
}"""
ELECTRA = """@inproceedings{clark2020electra,
  title = {{ELECTRA}: Pre-training Text Encoders as Discriminators Rather Than Generators},
  author = {Clark, Kevin and Luong, Minh-Thang and Le, Quoc V. and Manning, Christopher D.},
  booktitle = {International Conference on Learning Representations},
  year = {2020},
  url = {https://arxiv.org/abs/2003.10555}
}"""
LP_FT = """@inproceedings{kumar2022lpft,
  title = {Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution},
  author = {Kumar, Ananya and Raghunathan, Aditi and Jones, Robbie and Ma, Tengyu and Liang, Percy},
  booktitle = {International Conference on Learning Representations},
  year = {2022},
  url = {https://arxiv.org/abs/2202.10054}
}"""
LORA = """@inproceedings{hu2022lora,
  title = {{LoRA}: Low-Rank Adaptation of Large Language Models},
  author = {Hu, Edward J. and Shen, Yelong and Wallis, Phillip and Allen-Zhu, Zeyuan and Li, Yuanzhi and Wang, Shean and
    Wang, Lu and Chen, Weizhu},
  booktitle = {International Conference on Learning Representations},
  year = {2022},
  url = {https://arxiv.org/abs/2106.09685}
}"""
# The papers that the summary of each strategy names.
PAPERS = {"discriminative": (ULMFIT, ELECTRA), "gradual": (ULMFIT,), "lp-ft": (LP_FT,), "lora": (LORA,)}


def citations(report: dict[str, Any]) -> str:
    """BibTeX for the software that trained and judged the model, and for the strategy it was trained by."""
    version = report["environment"]["versions"].get("hfkit", "")
    own = "\n".join(
        [
            "@software{hfkit,",
            "  title = {hfkit: transfer learning for a pretrained checkpoint and a modest dataset},",
            "  author = {{The hfkit authors}},",
            f"  version = {{{version}}},",
            f"  year = {{{report['created'][:4]}}}",
            "}",
        ]
    )
    return "\n\n".join([own, *PAPERS.get(report["settings"].get("strategy") or "", ())])
