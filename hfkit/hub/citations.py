"""Citations in BibTeX: of hfkit itself, and of the papers that a strategy goes back to."""

from typing import Any

from hfkit.arguments.adapters import KINDS, kind_of

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
DORA = """@inproceedings{liu2024dora,
  title = {{DoRA}: Weight-Decomposed Low-Rank Adaptation},
  author = {Liu, Shih-Yang and Wang, Chien-Yi and Yin, Hongxu and Molchanov, Pavlo and Wang, Yu-Chiang Frank and
    Cheng, Kwang-Ting and Chen, Min-Hung},
  booktitle = {International Conference on Machine Learning},
  year = {2024},
  url = {https://arxiv.org/abs/2402.09353}
}"""
IA3 = """@inproceedings{liu2022ia3,
  title = {Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning},
  author = {Liu, Haokun and Tam, Derek and Muqeeth, Mohammed and Mohta, Jay and Huang, Tenghao and Bansal, Mohit and
    Raffel, Colin},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2022},
  url = {https://arxiv.org/abs/2205.05638}
}"""
VERA = """@inproceedings{kopiczko2024vera,
  title = {{VeRA}: Vector-based Random Matrix Adaptation},
  author = {Kopiczko, Dawid J. and Blankevoort, Tijmen and Asano, Yuki M.},
  booktitle = {International Conference on Learning Representations},
  year = {2024},
  url = {https://arxiv.org/abs/2310.11454}
}"""
OFT = """@inproceedings{qiu2023oft,
  title = {Controlling Text-to-Image Diffusion by Orthogonal Finetuning},
  author = {Qiu, Zeju and Liu, Weiyang and Feng, Haiwen and Xue, Yuxuan and Feng, Yao and Liu, Zhen and Zhang, Dan and
    Weller, Adrian and Sch{\"o}lkopf, Bernhard},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2023},
  url = {https://arxiv.org/abs/2306.07280}
}"""
PREFIX = """@inproceedings{li2021prefix,
  title = {Prefix-Tuning: Optimizing Continuous Prompts for Generation},
  author = {Li, Xiang Lisa and Liang, Percy},
  booktitle = {Proceedings of the 59th Annual Meeting of the Association for Computational Linguistics},
  year = {2021},
  url = {https://aclanthology.org/2021.acl-long.353}
}"""
PROMPT = """@inproceedings{lester2021prompt,
  title = {The Power of Scale for Parameter-Efficient Prompt Tuning},
  author = {Lester, Brian and Al-Rfou, Rami and Constant, Noah},
  booktitle = {Proceedings of the 2021 Conference on Empirical Methods in Natural Language Processing},
  year = {2021},
  url = {https://aclanthology.org/2021.emnlp-main.243}
}"""
# The papers that the summary of each strategy names; that of strategy lora is a kind of adapter.
PAPERS = {"discriminative": (ULMFIT, ELECTRA), "gradual": (ULMFIT,), "lp-ft": (LP_FT,)}
OF_ADAPTERS = {
    "lora": (LORA,),
    "dora": (LORA, DORA),
    "ia3": (IA3,),
    "vera": (VERA,),
    "oft": (OFT,),
    "prefix": (PREFIX,),
    "prompt": (PROMPT,),
}


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
    settings = report["settings"]
    adapters = next((name for name, kind in KINDS.items() if kind is kind_of(settings)), "")
    papers = (*PAPERS.get(settings.get("strategy") or "", ()), *OF_ADAPTERS.get(adapters, ()))
    return "\n\n".join([own, *papers])
